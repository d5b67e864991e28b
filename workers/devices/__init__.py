"""The device of a worker, and halving of batches when its memory runs out."""
