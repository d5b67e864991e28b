"""How long a job waits: to be taken in, to be started, and for another worker when its own is killed; and what waiting
costs the workers.

`python -m tests.benchmarks jobs` measures all; `python -m tests.benchmarks.jobs sqlite latency` a part, which takes the
place of what the results file had of it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.tables import jobs, segments, workers
from service.catalog.workers import is_alive
from service.client import Client
from service.contracts.base import now
from service.contracts.jobs import FINAL_STATES
from service.settings import Settings
from service.supervisor import Supervisor, environment
from tests.benchmarks.results import keep, path_of
from tests.databases.migrated import DATABASES
from tests.databases.server import running_server
from tests.end_to_end.conftest import OPTIONS
from tests.tiny import make_gpt2

SUBMISSIONS, KILLS, PATIENCE_S, IDLE_S = 120, 5, 120.0, 40.0
LOCAL, OTHER = "compute-local", "compute-other"
TESTED = {name: OPTIONS[name] for name in ("takeover_interval_s", "lease_s", "reconcile_interval_s")}
EXTRACTION = {  # one shard of the default size: one segment, so that the other worker has nothing else to do
    "model": "tiny", "corpus": "python-docs", "sites": ["final_norm_out"],
    "chunk_tokens": 64, "chunks": 1024, "chunks_per_document": "all",
}  # fmt: skip


@dataclass(frozen=True)
class Running:
    """An API, a control, a compute and a query worker, as `radius up` starts them, and their catalog."""

    settings: Settings
    client: Client
    catalog: Catalog
    url: str

    def row(self, query: sa.Select[Any]) -> Any:
        with self.catalog.read() as connection:
            return connection.execute(query).first()

    def wait(self, ready: Callable[[], bool], pause_s: float = 0.005) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < deadline
            time.sleep(pause_s)

    def wait_for_end(self, job_id: str) -> None:
        ended = sa.select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.state.in_(FINAL_STATES))
        self.wait(lambda: self.row(ended) is not None, 0.05)

    def lives(self, worker: str) -> bool:
        with self.catalog.read() as connection:
            return is_alive(connection, worker, PATIENCE_S)


def main(chosen: Sequence[str] = ()) -> None:
    """Measure what was chosen, or all, and keep the figures."""
    parts = {
        "latency": _latencies,
        "idle": _idle,
        "takeover": _takeovers,
        "takeover-tests": lambda kind: _takeovers(kind, **TESTED),
    }
    path = path_of("jobs")
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for kind in [kind for kind in DATABASES if kind in chosen] or DATABASES:
        for part in [part for part in parts if part in chosen] or parts:
            measured = parts[part](kind)
            print(f"{kind}, {part}: {json.dumps(measured)}", flush=True)
            found[kind] = found.get(kind, {}) | {part: measured}
            keep("jobs", found)


@contextmanager
def _running(kind: str, **options: Any) -> Iterator[Running]:
    """A service with default settings, but for the port and `options`."""
    with tempfile.TemporaryDirectory(prefix="radius-bench-") as name, _database(kind) as url:
        settings = Settings(data_dir=Path(name) / "data", port=0, database_url=url, **options)
        settings.make_folders()
        make_gpt2(settings.models_root / "tiny", n_layer=4, n_embd=96)
        supervisor = Supervisor(settings)
        supervisor.start()
        catalog = Catalog(settings.resolved_database_url)
        try:
            with Client(supervisor.url) as client:
                client.wait_until_ready()
                running = Running(settings, client, catalog, supervisor.url)
                running.wait(lambda: running.lives(LOCAL), 0.1)
                yield running
        finally:
            supervisor.stop()
            catalog.close()


@contextmanager
def _database(kind: str) -> Iterator[str | None]:
    """None is SQLite in the data directory; PostgreSQL is as careful as it is by default."""
    if kind == "sqlite":
        yield None
        return
    with running_server() as server:
        yield server.url(server.make_database())


def _latencies(kind: str) -> dict[str, Any]:
    """Jobs submitted one by one to an idle service, at random moments: milliseconds at p50, p99 and most."""
    taken, begun, chance = [], [], random.Random(0)
    with _running(kind) as running, httpx2.Client(base_url=running.url) as http:
        rows = running.client.import_vectors(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)).id
        body = {"kind": "radius", "spec": {"activations": rows, "fractions": [1.0]}}
        for number in range(SUBMISSIONS + 3):
            time.sleep(chance.uniform(0.1, 0.4))
            sent, clock = time.time(), time.perf_counter()
            answer = http.post("/v1/jobs", json=body)
            clock = time.perf_counter() - clock
            assert answer.status_code == 202, answer.text
            mine = answer.json()["id"]
            running.wait_for_end(mine)
            (first,) = running.row(sa.select(sa.func.min(segments.c.started_at)).where(segments.c.job == mine))
            if number >= 3:  # the first ones find nothing imported yet
                taken.append(clock)
                begun.append(first.timestamp() - sent)
    return {"n": SUBMISSIONS, "submission_ms": _quantiles(taken), "first_segment_ms": _quantiles(begun)}


def _idle(kind: str) -> dict[str, float]:
    """What each process of a service that has nothing to do takes of one core, in percent."""
    with _running(kind):
        time.sleep(IDLE_S / 2)  # what is done once after the start is done
        processes = [process for process in psutil.Process().children() if _role(process)]
        before = [sum(process.cpu_times()[:2]) for process in processes]
        time.sleep(IDLE_S)
        used = [sum(process.cpu_times()[:2]) - spent for process, spent in zip(processes, before, strict=True)]
        return {_role(process): round(100 * spent / IDLE_S, 1) for process, spent in zip(processes, used, strict=True)}


def _role(process: psutil.Process) -> str:
    """What a process of the service does; nothing for others."""
    command = process.cmdline()
    if "service.server" in command:
        return "api"
    return command[-1] if "workers.main" in command else ""


def _quantiles(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"p50": round(1000 * p50, 1), "p99": round(1000 * p99, 1), "most": round(1000 * max(seconds), 1)}


def _takeovers(kind: str, **options: Any) -> dict[str, Any]:
    """Seconds from kill -9 of a worker in the middle of an extraction until an idle one has its segment."""
    with _running(kind, **options) as running:
        seconds = [_takeover(running, random.Random(number)) for number in range(KILLS)]
    settings = {name: getattr(running.settings, name) for name in ("takeover_interval_s", "lease_s", "poll_interval_s")}
    return settings | {"seconds": [round(s, 2) for s in seconds], "most_s": round(max(seconds), 2)}


def _takeover(running: Running, chance: random.Random) -> float:
    with _other_worker(running) as process:
        job_id = _held_by_other(running)
        time.sleep(chance.uniform(0, 0.5))
        here = sa.select(segments).where(segments.c.job == job_id, segments.c.stage == "extract")
        assert (row := running.row(here)).running, "the segment ended before the kill"
        assert row.worker == OTHER
        process.kill()
        killed = time.monotonic()
        running.wait(lambda: running.row(here).worker == LOCAL)
        taken = time.monotonic() - killed
        print(f"taken over after {taken:.2f} s", flush=True)
        running.client.cancel(job_id)
        running.wait_for_end(job_id)
        return taken


def _held_by_other(running: Running) -> str:
    """A job whose extraction the other worker has; those that the wrong one took are cancelled."""
    while True:
        job_id = running.client.submit("extraction", EXTRACTION).id
        held = sa.select(segments.c.worker).where(segments.c.job == job_id, segments.c.stage == "extract")
        running.wait(lambda: running.row(held) is not None)  # noqa: B023
        if running.row(held).worker == OTHER:
            return job_id
        running.client.cancel(job_id)
        running.wait_for_end(job_id)


@contextmanager
def _other_worker(running: Running) -> Iterator[subprocess.Popen[bytes]]:
    """A second compute worker, seen alive."""
    began = now()
    settings = running.settings.model_copy(update={"worker_name": OTHER.removeprefix("compute-")})
    command = [sys.executable, "-m", "workers.main", "--role", "compute"]
    process = subprocess.Popen(command, env=environment(settings), stderr=subprocess.DEVNULL)
    try:
        seen = sa.select(workers.c.name).where(workers.c.name == OTHER, workers.c.seen_at > began)
        running.wait(lambda: running.row(seen) is not None, 0.1)
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
