"""Training: data, the loop, and the experiments run with it."""
