"""Exact neighbours and energies of arrays, without a service: `python examples/nearest_neighbors.py`."""

import numpy as np

from workers.energy import energies
from workers.neighbors import nearest_neighbors

rng = np.random.default_rng(0)
rows = rng.normal(size=(1000, 64)).astype(np.float32)
rows[:, 0] += 3000  # a massive dimension, as GPT-2's activations have

distances, indices = nearest_neighbors(rows, k=2)
print(f"mean nn_distance {distances[:, 0].mean():.3f}, radius {distances[:, 0].mean() / 2:.3f}")
print(f"row 0 is nearest to row {indices[0, 0]}, at {distances[0, 0]:.4f}")

documents = np.arange(1000) // 10  # ten rows of each document are not compared with one another
apart, _ = nearest_neighbors(rows, groups=documents)
print(f"without the own document {apart.mean():.3f}")

found = energies(rows[:5], rows[5:], beta=0.5)
print(f"g {found.g.mean():.2f}, E {found.energy.mean():.2f}, E_MCHN {found.energy_mchn.mean():.2f}")
