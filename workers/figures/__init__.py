"""Figures, which workers draw when they publish a result; the API serves them as files."""
