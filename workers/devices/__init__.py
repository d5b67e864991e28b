"""Which device a worker computes on, and what to do when its memory runs out."""
