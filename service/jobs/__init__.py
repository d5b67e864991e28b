"""Submitting and reading jobs: our jobs table, and the one adapter to the job engine's client side."""
