"""An analysis job: an extraction, then the radius of each of its sets, then their energies."""
