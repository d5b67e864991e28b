"""The paper's closed forms, literal and corrected (numpy and scipy only)."""
