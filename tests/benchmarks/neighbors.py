"""The nested search against FAISS flat: time for the same fractions, and who is right."""

from __future__ import annotations

import faiss
import numpy as np

from tests.benchmarks.timing import paired
from tests.neighbors.datasets import HARD
from workers.neighbors.faiss_index import build_flat
from workers.neighbors.nested import nested_neighbors
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.reference import nearest_reference

Array = np.ndarray
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
TOLERANCE = 1e-6


def main() -> None:
    """First the count of wrong neighbours on hard data, then the time on Gaussian data."""
    print(f"{'data':22} {'rows':>6} {'d':>4}  wrong ids: ours, FAISS IndexFlatL2; largest relative error of ours")
    for make in HARD:
        rows = make()
        ours, error = _wrong_ours(rows)
        print(f"{make.__name__:22} {len(rows):6} {rows.shape[1]:4}  {ours:>15} {_wrong_faiss(rows):>10}  {error:.1e}")
    rows = np.random.default_rng(0).standard_normal((20_000, 1024)).astype(np.float32)
    permutation, sizes = seeded_permutation(len(rows), 0), prefix_sizes(len(rows), FRACTIONS)

    def ours_run() -> object:
        return nested_neighbors(rows, build_flat(rows), permutation, sizes)

    def faiss_run() -> object:
        parts = [rows[permutation[:size]] for size in sizes]
        return [faiss.knn(part, part, 2) for part in parts]

    print(f"25/50/75/100 % of 20,000 × 1024, centring included: {paired(ours_run, faiss_run, rounds=3)}")


def _wrong_ours(rows: Array) -> tuple[int, float]:
    index = build_flat(rows)
    permutation = seeded_permutation(len(rows), 0)
    (found,), _ = nested_neighbors(rows, index, permutation, [len(rows)])
    distances = nearest_reference(rows)[0][found.rows, 0]
    gap = np.abs(found.distances[:, 0] - distances)
    relative = np.divide(gap, distances, out=np.zeros_like(gap), where=distances > 0)
    return _wrong(rows, found.rows, found.ids[:, 0], distances), float(relative.max())


def _wrong_faiss(rows: Array) -> int:
    with np.errstate(over="ignore"):
        single = rows.astype(np.float32)
    if not np.isfinite(single).all():
        return len(rows)  # beyond float32: FAISS cannot take them
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(single)
    found = index.search(single, 2)[1]
    nearest = np.where(found[:, 0] == np.arange(len(rows)), found[:, 1], found[:, 0])
    return _wrong(rows, np.arange(len(rows)), nearest, nearest_reference(rows)[0][:, 0])


def _wrong(rows: Array, queries: Array, nearest: Array, distances: Array) -> int:
    """Neighbours that are farther than the nearest by more than 1e-6 relative: wrong outside ties."""
    exact = rows.astype(np.float64)
    return int((np.linalg.norm(exact[queries] - exact[nearest], axis=1) > distances * (1 + TOLERANCE)).sum())


if __name__ == "__main__":
    main()
