"""Energies of many queries among many patterns. Pure: arrays in, arrays and frozen dataclasses out.

library.py      `energies`, a function of arrays
evaluation.py   g, E at several β, E_MCHN at several β and the k nearest, from one pass over the patterns
query_block.py  that pass, for one block of queries
tile_scan.py    a tile of products → sums and candidates, by torch or by the kernel
scan_kernel.py  the Triton kernel
filter.py       products in bfloat16 that exclude most pairs, on CPUs that multiply it fast
self_test.py    the kernel beside torch, before its first use on a device
patterns.py     the patterns: centred, scaled, lifted, tile by tile
soft_minimum.py running shifted sums of exponentials
candidates.py   the pairs to be rescored in float64, chosen tile by tile
rescoring.py    their distances in float64, and the sums with these values
weights.py      softmax weights over all patterns
curvature.py    the smallest Hessian eigenvalues
retrieval.py    fixed points; the basin test
descent.py      does a block move its input towards the nearest pattern? (eq. 6), beside null models of its step
null_steps.py   these null models: the mean step, the step of another row, a random step

The definitions are in service/theory/energy.py; the tests compare with them.
"""

from workers.energy.library import PointEnergies, energies

__all__ = ["PointEnergies", "energies"]
