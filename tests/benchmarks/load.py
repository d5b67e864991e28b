"""A crowd at one API process: 5,000 queued jobs, 300 event streams, 200 uploads, 50 evaluations at once."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import httpx2
import numpy as np

from service.settings import Settings
from tests.api.support import npy_bytes
from tests.benchmarks.event_streams import insert_jobs, open_stream, server
from tests.databases.migrated import DATABASES, Databases

JOBS, UPLOADS, EVALUATIONS, TOGETHER = 5_000, 200, 50, 16
SPEC = {"model": "openai-community/gpt2", "corpus": "python-docs"}
POINTS = {"patterns": [[0.5, 1.5]] * 200, "queries": [[0.25, 1.25]] * 50}
Request = Callable[[int], Awaitable[httpx2.Response]]


def main() -> None:
    """Both databases, with a server process of its own for each."""
    with tempfile.TemporaryDirectory() as name, closing(Databases(Path(name))) as databases:
        for kind in DATABASES:
            with databases.settings(kind, Path(name) / kind) as settings, server(settings) as port:
                for line in asyncio.run(measure(settings, port)):
                    print(f"{kind}: {line}", flush=True)


async def measure(settings: Settings, port: int) -> list[str]:
    """A line for each part, all of them while the event streams are open."""
    lines, vectors = [], npy_bytes(np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32))
    streams = [await open_stream(port, job_id) for job_id in insert_jobs(settings)]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:

        async def submit(_: int) -> httpx2.Response:
            return await client.post("/v1/jobs", json={"kind": "extraction", "spec": SPEC})

        async def upload(at: int) -> httpx2.Response:
            return await client.post("/v1/activations", files={"file": ("a.npy", vectors)}, data={"name": f"set {at}"})

        async def evaluate(_: int) -> httpx2.Response:
            return await client.post("/v1/energy/evaluate", json=POINTS)

        async def health(_: int) -> httpx2.Response:
            return await client.get("/healthz")

        lines.append(await told(f"{JOBS} submissions", submit, JOBS, TOGETHER))
        lines.append(await told(f"{UPLOADS} uploads", upload, UPLOADS, TOGETHER))
        lines.append(await told(f"{EVALUATIONS} evaluations at once", evaluate, EVALUATIONS, EVALUATIONS))
        lines.append(await told("100 health checks", health, 100, 1))
    for writer in streams:
        writer.close()
    return lines


async def told(what: str, request: Request, count: int, together: int) -> str:
    """Statuses and times of `count` requests, `together` of which are under way at once."""
    times, statuses, places = list[float](), Counter[int](), asyncio.Semaphore(together)

    async def one(at: int) -> None:
        async with places:
            began = time.perf_counter()
            response = await request(at)
            times.append(time.perf_counter() - began)
            statuses[response.status_code] += 1

    began = time.perf_counter()
    await asyncio.gather(*(one(at) for at in range(count)))
    whole = time.perf_counter() - began
    p50, p99 = statistics.median(times), sorted(times)[int(0.99 * len(times))]
    return f"{what}: {dict(statuses)} in {whole:.1f} s, p50 {1e3 * p50:.0f} ms, p99 {1e3 * p99:.0f} ms"


if __name__ == "__main__":
    main()
