"""Energies of 10,000 points among 80,000 patterns, and one question to a resident set, against FAISS's 1-NN search.

A set of fewer rows gives a quarter of them as points, at most so many.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import httpx2
import numpy as np

from service.client import Client
from service.settings import Settings
from service.supervisor import Supervisor
from service.theory import energy as reference
from tests.benchmarks.datasets import DATASETS
from tests.benchmarks.neighbors import PAIRS
from tests.benchmarks.results import keep
from tests.benchmarks.timing import paired
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.neighbors.stored import StoredRows

Array = np.ndarray
PATTERNS, POINTS, QUESTIONS = 80_000, 10_000, 40
BETAS = {"0.5, 1, 2": [0.5, 1.0, 2.0]}
FLAT = {"1/√n, 1, 2": [1 / 32, 1.0, 2.0]}  # with attention's own β every pattern weighs


def main() -> None:
    """Print and keep the figures."""
    results: dict[str, dict[str, object]] = {}
    for name, dataset in DATASETS.items():
        rows = dataset(PATTERNS + POINTS)
        points = min(POINTS, len(rows) // 4)
        betas = BETAS | (FLAT if name == "isotropic" else {})
        results[name] = _race(name, rows[:-points].copy(), rows[-points:].copy(), betas)
        results[name] |= {"question": _ask(rows[: PATTERNS + QUESTIONS])}
    keep("energies", results)


def _race(name: str, patterns: Array, points: Array, settings: dict[str, list[float]]) -> dict[str, object]:
    """g, E and E_MCHN at three β, preparation included, against a FAISS search for the nearest alone."""
    index = faiss.IndexFlatL2(patterns.shape[1])
    index.add(patterns)
    found: dict[str, object] = {}
    for label, betas in settings.items():

        def ours(betas: list[float] = betas) -> object:
            return evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(points), betas)

        ratio = paired(ours, lambda: index.search(points, 1), rounds=PAIRS)
        print(f"{name}, {len(points):,} × {len(patterns):,} × {patterns.shape[1]}, β = {label}: {ratio}", flush=True)
        found[label] = vars(ratio)
    return found | {"error": _error(patterns, points[:50])}


def _error(patterns: Array, points: Array) -> dict[str, float]:
    """Largest error of E (β = 1) and E_MCHN (β = 2) of some points, relative, against direct float64."""
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(points), [1.0, 2.0])
    wide = patterns.astype(np.float64)
    true = [np.concatenate([f(wide, points[at : at + 1].astype(np.float64), beta) for at in range(len(points))])
            for f, beta in ((reference.energy, 1.0), (reference.energy_mchn, 2.0))]  # fmt: skip
    ours = (found.energy[0], found.energy_mchn[1])
    floors = (1.0, 0.5)  # 1/β, below which the promise is an absolute one
    found_true = zip(ours, true, floors, strict=True)
    worst = [float((np.abs(a - b) / np.maximum(np.abs(b), floor)).max()) for a, b, floor in found_true]
    print(f"    largest relative error: E {worst[0]:.1e}, E_MCHN {worst[1]:.1e}")
    return {"energy": worst[0], "energy_mchn": worst[1]}


def _ask(rows: Array) -> dict[str, float]:
    """Median time of one vector over REST, against the bare search of the same index in this process."""
    patterns, points = rows[:-QUESTIONS].copy(), rows[-QUESTIONS:].copy()
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(patterns)
    with tempfile.TemporaryDirectory() as folder:
        supervisor = Supervisor(Settings(data_dir=Path(folder), port=0, query_timeout_s=120))
        supervisor.start()
        try:
            with Client(supervisor.url, timeout_s=300) as client:
                client.wait_until_ready()
                set_id = client.import_vectors(patterns).id
                _wait_for_worker(supervisor.settings)
                client.query(set_id, vectors=points[:1])  # loads the set
            with httpx2.Client(base_url=supervisor.url, timeout=60) as http:
                ours = [_seconds_of_question(http, set_id, point) for point in points]
            peer = [_seconds(lambda at=at: index.search(points[at : at + 1], 10)) for at in range(QUESTIONS)]
        finally:
            supervisor.stop()
    a, b = statistics.median(ours), statistics.median(peer)
    print(f"one vector over REST: p50 {1000 * a:.1f} ms, FAISS alone {1000 * b:.1f} ms, ours / FAISS {a / b:.2f}")
    return {"ours_p50_s": a, "peer_p50_s": b, "ours_over_peer": a / b}


def _wait_for_worker(settings: Settings) -> None:
    while not settings.query_socket.exists():
        time.sleep(0.1)


def _seconds_of_question(http: httpx2.Client, set_id: str, point: Array) -> float:
    body = json.dumps({"vectors": [point.astype(np.float64).tolist()]})
    headers = {"content-type": "application/json"}

    def ask() -> None:
        http.post(f"/v1/activations/{set_id}/query", content=body, headers=headers).raise_for_status()

    return _seconds(ask)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
