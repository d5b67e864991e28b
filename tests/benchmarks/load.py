"""A crowd at one API process: 5,000 queued jobs, 300 event streams, 200 uploads, 50 evaluations at once."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import numpy as np
import psutil

from service.settings import Settings
from tests.api.support import npy_bytes
from tests.benchmarks.edge import cpu_s, process_at
from tests.benchmarks.event_streams import insert_jobs, open_stream, server
from tests.databases.migrated import DATABASES, Databases

JOBS, UPLOADS, EVALUATIONS, TOGETHER, PAUSE_S = 5_000, 200, 50, 16, 0.01
SPEC = {"model": "openai-community/gpt2", "corpus": "python-docs"}
POINTS = {"patterns": [[0.5, 1.5]] * 200, "queries": [[0.25, 1.25]] * 50}
Request = Callable[[httpx2.AsyncClient, int], Awaitable[httpx2.Response]]


def main(kinds: Iterable[str] = DATABASES) -> None:
    """A line of JSON for each part on each database, with a server process of its own for each database."""
    with tempfile.TemporaryDirectory() as name, closing(Databases(Path(name))) as databases:
        for kind in kinds:
            folder = Path(name) / kind
            with databases.settings(kind, folder, log_file=folder / "api.log") as settings, server(settings) as port:
                asyncio.run(measure(settings, port))


async def measure(settings: Settings, port: int) -> None:
    """Each part in turn, all of them while the event streams are open."""
    streams = [await open_stream(port, job_id) for job_id in insert_jobs(settings)]
    process, database = process_at(port), settings.resolved_database_url.partition(":")[0]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
        for part, request, count, together in parts():
            found = await crowd(client, process, request, count, together)
            print(json.dumps({"database": database, "part": part, "requests": count} | found), flush=True)
    for writer in streams:
        writer.close()


def parts() -> Iterator[tuple[str, Request, int, int]]:
    """Name, request, how many of them, and how many at once."""
    vectors = npy_bytes(np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32))

    async def submit(client: httpx2.AsyncClient, _: int) -> httpx2.Response:
        return await client.post("/v1/jobs", json={"kind": "extraction", "spec": SPEC})

    async def upload(client: httpx2.AsyncClient, at: int) -> httpx2.Response:
        files = {"file": ("a.npy", vectors)}
        return await client.post("/v1/activations", files=files, data={"name": f"set {at}"})

    async def evaluate(client: httpx2.AsyncClient, _: int) -> httpx2.Response:
        return await client.post("/v1/energy/evaluate", json=POINTS)

    async def list_jobs(client: httpx2.AsyncClient, _: int) -> httpx2.Response:
        return await client.get("/v1/jobs")

    yield "submissions", submit, JOBS, TOGETHER
    yield "uploads", upload, UPLOADS, TOGETHER
    yield "evaluations", evaluate, EVALUATIONS, EVALUATIONS
    yield "lists of jobs", list_jobs, 100, 1


async def crowd(
    client: httpx2.AsyncClient, process: psutil.Process, request: Request, count: int, together: int
) -> dict[str, object]:
    """Statuses and times of `count` requests, `together` at once, and of `/healthz` meanwhile."""
    times, statuses, places = list[float](), Counter[int](), asyncio.Semaphore(together)

    async def one(at: int) -> None:
        async with places:
            began = time.perf_counter()
            response = await request(client, at)
            times.append(time.perf_counter() - began)
            statuses[response.status_code] += 1

    async def probe() -> None:
        while True:
            began = time.perf_counter()
            await client.get("/healthz")
            probes.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_S)

    probes, used, began = list[float](), cpu_s(process), time.perf_counter()
    probing = asyncio.create_task(probe())
    await asyncio.gather(*(one(at) for at in range(count)))
    seconds = time.perf_counter() - began
    probing.cancel()
    return {
        "statuses": dict(statuses),
        "seconds": round(seconds, 1),
        "api_cpu_ms_each": round(1e3 * (cpu_s(process) - used) / count, 1),
        "p50_ms": round(1e3 * statistics.median(times), 1),
        "p99_ms": p99_ms(times),
        "healthz_p99_ms": p99_ms(probes),
        "rss_mib": round(process.memory_info().rss / 2**20),
    }


def p99_ms(times: list[float]) -> float | None:
    """The 99th percentile; None without any."""
    return round(1e3 * sorted(times)[int(0.99 * len(times))], 1) if times else None


if __name__ == "__main__":
    main(sys.argv[1:] or DATABASES)
