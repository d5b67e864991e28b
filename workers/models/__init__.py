"""Models behind one interface with hook points."""
