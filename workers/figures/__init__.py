"""Figures, drawn by workers when a result is published and served as files."""
