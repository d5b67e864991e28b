"""Submission, control, recovery and retention of jobs, and the one adapter to the job engine's client side."""
