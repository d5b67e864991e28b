"""The GPU path without a GPU: a pretend device, and what the code does on it."""
