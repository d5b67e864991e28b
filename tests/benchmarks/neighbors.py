"""The exact engine against FAISS flat and scikit-learn: time for the same answers, memory, growth, and who is right."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import torch

from tests.benchmarks.datasets import DATASETS
from tests.benchmarks.results import keep
from tests.benchmarks.timing import paired
from tests.neighbors.datasets import HARD
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.rescoring import pair_distances
from workers.neighbors.stored import StoredRows

Array = np.ndarray
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
TOLERANCE = 1e-6
ROWS, PAIRS = 20_000, 5


def main() -> None:
    """Wrong neighbours on hard data; then time, growth and memory. `results/` keeps the figures, machine and date."""
    results: dict[str, object] = {}
    print(f"{'data':22} {'rows':>6} {'d':>4}  wrong ids: ours, FAISS IndexFlatL2; largest relative error of ours")
    for make in HARD:
        rows = make()
        ours, error = _wrong_ours(rows)
        print(f"{make.__name__:22} {len(rows):6} {rows.shape[1]:4}  {ours:>15} {_wrong_faiss(rows):>10}  {error:.1e}")
    for name, make_rows in DATASETS.items():
        results[name] = _race(name, make_rows(ROWS))
    results["growth"] = _growth()
    results["memory"] = _memory()
    keep("neighbors", results)


def _race(name: str, rows: Array) -> dict[str, object]:
    """Four nested fractions, and all rows alone, against FAISS; all rows alone against scikit-learn where it is."""
    stored, permutation = StoredRows(rows), seeded_permutation(len(rows), 0)
    sizes = prefix_sizes(len(rows), FRACTIONS)

    def ours(asked: list[int]) -> object:
        return exact_neighbors(Question(stored, permutation, asked))

    def flat(asked: list[int], k: int = 1) -> list[Array]:
        found = []
        for size in asked:
            part = rows[permutation[:size]]
            ids = faiss.knn(part, part, k + 1)[1]
            found.append(np.where(ids[:, 0] == np.arange(size), ids[:, 1], ids[:, 0]))
        return found

    nested = paired(lambda: ours(sizes), lambda: flat(sizes), rounds=PAIRS)
    single = paired(lambda: ours(sizes[-1:]), lambda: flat(sizes[-1:]), rounds=PAIRS)
    wrong, peer_wrong, error = _against_truth(rows, permutation, flat(sizes[-1:])[0])
    shape = f"{len(rows):,} × {rows.shape[1]}"
    print(f"{name} ({shape}): 25/50/75/100 % against FAISS's four searches: {nested}")
    print(f"{name} ({shape}): all rows against one FAISS search: {single}")
    print(f"{name}: wrong ids of a sample: ours {wrong}, FAISS {peer_wrong}; relative error of ours {error:.1e}")
    levels = {f"k = {k}": _levels(Question(stored, permutation, sizes, k)) for k in (1, 64)}
    for label, asked in (("four_fractions", sizes), ("all_rows", sizes[-1:])):
        many = Question(stored, permutation, asked, 64)
        levels["k = 64"][label] = vars(paired(partial(exact_neighbors, many), partial(flat, asked, 64), rounds=1))
    print(f"{name}: rows of each level: {levels}", flush=True)
    result: dict[str, object] = {"shape": shape, "nested": vars(nested), "single": vars(single), **levels}
    result["wrong"] = [wrong, peer_wrong]
    if importlib.util.find_spec("sklearn"):
        brute = paired(lambda: ours(sizes), lambda: _sklearn(rows, permutation, sizes), rounds=1)
        print(f"{name}: the four fractions against scikit-learn brute: {brute}")
        result["sklearn"] = vars(brute)
    return result


def _levels(question: Question) -> dict[str, object]:
    """Time, candidates per row, and rows that the float64 level searched."""
    began = time.perf_counter()
    _, work = exact_neighbors(question)
    per_row = work.candidates / len(question.order)
    return {
        "seconds": time.perf_counter() - began,
        "candidates_per_row": per_row,
        "float32_rows": work.float32_rows,
        "float64_rows": work.float64_rows,
    }


def _sklearn(rows: Array, permutation: Array, sizes: list[int]) -> object:
    from sklearn.neighbors import NearestNeighbors  # pyright: ignore[reportMissingImports]  # the extra `bench`

    for size in sizes:
        part = rows[permutation[:size]]
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(part).kneighbors()
    return None


def _against_truth(rows: Array, permutation: Array, peer: Array) -> tuple[int, int, float]:
    """Wrong ids of ours and of FAISS, and our largest relative error, over 500 rows against the reference."""
    (found,), work = exact_neighbors(Question(StoredRows(rows), permutation, [len(rows)]))
    print("   ", work)
    asked = np.linspace(0, len(rows) - 1, 500).astype(int)
    exact = rows.astype(np.float64)
    wrong = peer_wrong = 0
    error = 0.0
    for at in asked:
        gaps = np.sqrt(((exact - exact[permutation[at]]) ** 2).sum(axis=1))
        gaps[permutation[at]] = np.inf
        limit = gaps.min() * (1 + TOLERANCE)
        wrong += gaps[found.ids[at, 0]] > limit
        peer_wrong += gaps[permutation[peer[at]]] > limit
        error = max(error, abs(found.distances[at, 0] - gaps.min()) / max(gaps.min(), 1e-300))
    return int(wrong), int(peer_wrong), error


def _growth() -> dict[str, float]:
    """Seconds at 10,000 and 40,000 rows; 16 times is quadratic."""
    seconds = {}
    for n in (10_000, 40_000):
        rows = DATASETS["isotropic"](n)
        stored, permutation = StoredRows(rows), seeded_permutation(n, 0)
        seconds[n] = min(_seconds(stored, permutation, n) for _ in range(3))
    ratio = seconds[40_000] / seconds[10_000]
    print(f"10,000 → 40,000 rows: {seconds[10_000]:.2f} → {seconds[40_000]:.2f} s, {ratio / 16:.2f} × quadratic")
    return {"seconds_10k": seconds[10_000], "seconds_40k": seconds[40_000], "over_quadratic": ratio / 16}


def _seconds(stored: StoredRows, permutation: Array, n: int) -> float:
    began = time.perf_counter()
    exact_neighbors(Question(stored, permutation, [n]))
    return time.perf_counter() - began


def _memory() -> dict[str, float]:
    """Peak memory of a search of 80,000 × 1024 in a process of its own, beyond torch, as a multiple of the data."""
    code = "from tests.benchmarks.neighbors import peak_of_search; peak_of_search(80_000)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    measured = json.loads(printed)
    print(f"memory, 80,000 × 1024: {measured['times_data']:.2f} × the data ({measured['data_mib']:.0f} MiB) in all")
    return measured


def peak_of_search(n: int) -> None:
    """Print the peak beyond the process with torch loaded and warmed up, the data included."""
    small = np.random.default_rng(0).standard_normal((5000, 64), dtype=np.float32)
    exact_neighbors(Question.of_all_rows(StoredRows(small)))
    before = _peak_bytes()
    rows = np.random.default_rng(0).standard_normal((n, 1024), dtype=np.float32)
    began = time.perf_counter()
    exact_neighbors(Question(StoredRows(rows), seeded_permutation(n, 0), prefix_sizes(n, FRACTIONS)))
    seconds = time.perf_counter() - began
    peak = _peak_bytes() - before
    measured = {"data_mib": rows.nbytes / 2**20, "peak_mib": peak / 2**20, "times_data": peak / rows.nbytes}
    print(json.dumps(measured | {"seconds": seconds}))


def _peak_bytes() -> int:
    """The largest resident size so far; `getrusage` would report the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _wrong_ours(rows: Array) -> tuple[int, float]:
    permutation = seeded_permutation(len(rows), 0)
    question = Question(StoredRows(rows), permutation, [len(rows)])
    (found,), _ = exact_neighbors(question, SearchOptions(format=torch.bfloat16))
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
    stored = StoredRows(rows.astype(np.float64))
    found = pair_distances(stored, stored, torch.from_numpy(queries), torch.from_numpy(nearest)).numpy()
    return int((found > distances * (1 + TOLERANCE)).sum())


if __name__ == "__main__":
    main()
