"""One radius job by two workers against one, through the real service, and against the engine alone.

`python -m tests.benchmarks scale_out`; every worker has one thread (numpy's products too), unless said otherwise. What
two cores are worth on this machine is measured beside: two engines that know nothing of one another, each with a whole
search, against one. Cores share caches, memory and a clock, so this is below 2, and no service can do better.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch

from service.client import Client
from service.settings import Settings
from service.supervisor import Supervisor, environment
from tests.benchmarks.results import keep
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

D, RANK = 768, 64
ROWS, ROUNDS = int(os.environ.get("ROWS", "180000")), int(os.environ.get("ROUNDS", "2"))
FRACTIONS = [0.25, 0.5, 0.75, 1.0]
SIDES = {"1 × 1": (1, 1, True), "2 × 1": (2, 1, True), "1 × 2": (1, 2, True), "1 × 1, not in parts": (1, 1, False)}
_start: Barrier


def main() -> None:
    """Rounds of all sides in turn; `results/scale_out.json` keeps medians and every value."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = anisotropic(ROWS)
        np.save(folder / "rows.npy", rows)
        seconds: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for side, (workers, threads, split) in SIDES.items():
                total, search = _job(folder, workers, threads, split)
                seconds.setdefault(side, []).append(total)
                seconds.setdefault(f"{side}, work of the search", []).append(search)
                print(f"{side}: job {total:.1f} s, work of its search {search:.1f} s", flush=True)
            for side, engines in {"engine alone": 1, "two engines at once": 2}.items():
                seconds.setdefault(side, []).append(_engines(folder, engines))
                print(f"{side}: {seconds[side][-1]:.1f} s", flush=True)
    ratios = {
        "2 × 1 against 1 × 1": _ratio(seconds["1 × 1"], seconds["2 × 1"]),
        "2 × 1 against 1 × 2": _ratio(seconds["1 × 2"], seconds["2 × 1"]),
        "two engines at once, against one after the other": 2
        * _ratio(seconds["engine alone"], seconds["two engines at once"]),
        "1 × 1 against 1 × 1 not in parts": _ratio(seconds["1 × 1"], seconds["1 × 1, not in parts"]),
        "work of the search against the engine alone": _ratio(
            seconds["1 × 1, work of the search"], seconds["engine alone"]
        ),
    }
    print(json.dumps(ratios, ensure_ascii=False, indent=1))
    results = {"shape": [ROWS, D], "seconds": seconds, "ratios": ratios}
    keep("scale_out", results)


def anisotropic(n: int) -> np.ndarray:
    """Rank 64 with a falling spectrum, plus noise, and one massive dimension."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((RANK, D), dtype=np.float32) * (np.arange(1, RANK + 1)[:, None] ** -0.5)
    rows = rng.standard_normal((n, RANK), dtype=np.float32) @ basis.astype(np.float32)
    rows += 0.3 * rng.standard_normal((n, D), dtype=np.float32)
    rows[:, 3] = 3000 * (1 + 0.02 * rng.standard_normal(n))
    return rows


def _ratio(slow: list[float], fast: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def _limit_threads(threads: int) -> None:
    """Of numpy's products, in the processes that are started from now on."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)


def _job(folder: Path, workers: int, threads: int, split: bool) -> tuple[float, float]:
    """Seconds of the job by the clock from its start to its end, and of work of its search."""
    _limit_threads(threads)
    with tempfile.TemporaryDirectory(dir=folder) as data:
        settings = Settings(data_dir=Path(data), port=0, torch_threads=threads)
        if not split:
            settings = settings.model_copy(update={"search_split_work": 1e18})
        with _service(settings, workers) as client:
            made = client.import_vectors(folder / "rows.npy")
            done = client.submit("radius", {"activations": made.id, "fractions": FRACTIONS}).wait(timeout_s=600)
            assert done.job.started_at is not None
            assert done.job.finished_at is not None
            report = client.radius(done.reports[0])
            print("   ", report.timing, report.provenance["search"].get("parts"))
            return (done.job.finished_at - done.job.started_at).total_seconds(), report.timing["search_s"]


@contextmanager
def _service(settings: Settings, workers: int) -> Iterator[Client]:
    supervisor = Supervisor(settings)
    supervisor.start()
    command = [sys.executable, "-m", "workers.main", "--role", "compute"]
    others = [
        subprocess.Popen(command, env=environment(settings.model_copy(update={"worker_name": f"other-{number}"})))
        for number in range(1, workers)
    ]
    try:
        with Client(supervisor.url) as client:
            client.wait_until_ready()
            time.sleep(8)  # until every worker has imported torch and was seen
            yield client
    finally:
        for other in others:
            other.kill()
            other.wait()
        supervisor.stop()


def _engines(folder: Path, count: int) -> float:
    """The longest search of some processes that begin together, each on all rows with one thread."""
    _limit_threads(1)
    start = multiprocessing.get_context("spawn").Barrier(count)
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, (start,)) as pool:
        return max(pool.map(_search, [folder / "rows.npy"] * count))


def _begin(barrier: Barrier) -> None:
    global _start
    _start = barrier


def _search(path: Path) -> float:
    torch.set_num_threads(1)
    rows = np.load(path, mmap_mode="r")
    stored, permutation = StoredRows(rows), seeded_permutation(len(rows), 0)
    _start.wait()
    began = time.perf_counter()
    exact_neighbors(Question(stored, permutation, prefix_sizes(len(rows), FRACTIONS)))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
