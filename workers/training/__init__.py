"""Training: data, the training loop, its experiments, and the models that runs keep."""
