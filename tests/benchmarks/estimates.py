"""Estimates held against the jobs they are of, on a service with default settings.

`python -m tests.benchmarks estimates`; ratios are estimated over measured seconds, from start to end of the job. The
files in RADIUS_BENCH_ROWS (see CONTRIBUTING.md) are measured too.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from service.client import Client
from service.contracts.jobs import Job
from service.settings import Settings
from service.supervisor import Supervisor
from tests.benchmarks.datasets import rows_of
from tests.benchmarks.results import keep
from tests.tiny import make_gpt2

ROWS, D = 40_000, 512
FRACTIONS = [0.125, 0.25, 0.5, 1.0]
CHUNKS = {"model": "small", "corpus": "python-docs", "chunk_tokens": 64, "chunks_per_document": "all"}
PATIENCE_S = 900.0


def main() -> None:
    """One job of each kind after another; `results/estimates.json` keeps what was said and what it was."""
    with tempfile.TemporaryDirectory(prefix="radius-bench-") as name:
        settings = Settings(data_dir=Path(name) / "data", port=0)
        settings.make_folders()
        make_gpt2(settings.models_root / "small", n_layer=6, n_embd=384)
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            with Client(supervisor.url) as client:
                client.wait_until_ready()
                found = _measure(client)
        finally:
            supervisor.stop()
    keep("estimates", {"jobs": found})


def _measure(client: Client) -> dict[str, Any]:
    rows = np.random.default_rng(0).standard_normal((ROWS, D), dtype=np.float32)
    made = client.import_vectors(rows)
    jobs = {
        "extraction, last position": ("extraction", CHUNKS | {"chunks": 2_000}),
        "extraction, all positions": ("extraction", CHUNKS | {"chunks": 1_000, "position": "all"}),
        "analysis with energies": ("analysis", CHUNKS | {"chunks": 2_500, "seed": 1, "energy": {}}),
        f"radius of {ROWS:,} x {D}": ("radius", {"activations": made.id}),
        f"radius of {ROWS:,} x {D} with counts": ("radius", {"activations": made.id, "radii": [28.0, 29.0]}),
        "energies of 5,000 points": ("energy", {"activations": [made.id], "sample": 5_000}),
        "small/f3, 300 steps": ("training", {"preset": "small/f3", "steps": 300}),
        "small/f2, 150 steps": ("training", {"preset": "small/f2", "steps": 150}),
        "smoke/table3": ("sweep", {"preset": "smoke/table3"}),
    }
    for name in os.environ.get("RADIUS_BENCH_ROWS", "").split():
        real = client.import_vectors(rows_of(name, ROWS))
        jobs[f"radius of {Path(name).stem}"] = ("radius", {"activations": real.id, "fractions": FRACTIONS})
        jobs[f"energies of {Path(name).stem}"] = ("energy", {"activations": [real.id]})
    while client.estimate(*jobs["smoke/table3"]).calibration is None:
        time.sleep(0.5)
    return {name: _compare(client, name, *job) for name, job in jobs.items()}


def _compare(client: Client, name: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    said = client.estimate(kind, spec)
    assert said.seconds is not None
    took = _seconds(client.submit(kind, spec).wait(timeout_s=PATIENCE_S).job)
    print(f"{name}: said {said.seconds:.1f} s, took {took:.1f} s: {said.seconds / took:.2f}", flush=True)
    return {"estimated_s": said.seconds, "measured_s": took, "ratio": said.seconds / took, "segments": said.segments}


def _seconds(job: Job) -> float:
    assert job.started_at is not None
    assert job.finished_at is not None
    return (job.finished_at - job.started_at).total_seconds()
