"""What event streams cost the other requests: p50 of `GET /v1/jobs` without streams and beside 300 of them."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.ids import new_id
from service.settings import Settings
from service.supervisor import environment
from tests.databases.migrated import DATABASES, Databases

STREAMS, ROUNDS, REQUESTS = 300, 7, 60


def main() -> None:
    """Both databases, with a server process of its own for each."""
    with tempfile.TemporaryDirectory() as name, closing(Databases(Path(name))) as databases:
        for kind in DATABASES:
            with databases.settings(kind, Path(name) / kind) as settings:
                rounds = asyncio.run(measure(settings))
                beside, alone = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
                change = statistics.median(beside / alone for beside, alone in rounds) - 1
                times = f"{beside:.1f} ms beside {STREAMS} streams, {alone:.1f} ms without"
                print(f"{kind}: GET /v1/jobs p50 {times} ({change:+.0%}, median of {ROUNDS} rounds)", flush=True)


async def measure(settings: Settings) -> list[list[float]]:
    """p50 of each round at a server with the streams, and at one without; requests alternate, so load strikes both."""
    ids = insert_jobs(settings)
    with ExitStack() as stack:
        streaming, idle = (stack.enter_context(server(settings)) for _ in range(2))
        streams = [await open_stream(streaming, job_id) for job_id in ids]
        await asyncio.sleep(3)
        rounds = [await p50(streaming, idle) for _ in range(ROUNDS)]
        for writer in streams:
            writer.close()
        await asyncio.sleep(1)  # for the server to see that they are gone
        return rounds


def insert_jobs(settings: Settings) -> list[str]:
    """Running jobs, which nothing works on."""
    ids = [new_id("job") for _ in range(STREAMS)]
    row = {"kind": "radius", "spec": {}, "spec_sha256": "0" * 64, "priority": 50, "labels": {}}
    with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.begin() as connection:
        for job_id in ids:
            jobs.insert(connection, row | {"id": job_id})
            jobs.start(connection, job_id)
    return ids


@contextmanager
def server(settings: Settings) -> Iterator[int]:
    """The port of an API process."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening, process_at(listening, settings):
        yield listening.getsockname()[1]


@contextmanager
def process_at(listening: socket.socket, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """An API process at that socket."""
    command = [sys.executable, "-m", "service.server", "--fd", str(listening.fileno())]
    process = subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment(settings) | os.environ)
    try:
        wait_until_ready(listening.getsockname()[1])
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success:
                return
        except httpx2.HTTPError:
            time.sleep(0.2)
    raise TimeoutError("the server did not start")


async def open_stream(port: int, job_id: str) -> asyncio.StreamWriter:
    """A connection whose first event has come; the rest stays in its buffer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"event: ")
    return writer


async def p50(*ports: int) -> list[float]:
    """Seconds of one request at each server, one after another."""
    times: dict[int, list[float]] = {port: [] for port in ports}
    async with httpx2.AsyncClient(timeout=60) as client:
        for number in range(REQUESTS):
            for port in ports if number % 2 else reversed(ports):
                began = time.perf_counter()
                (await client.get(f"http://127.0.0.1:{port}/v1/jobs")).raise_for_status()
                times[port].append(time.perf_counter() - began)
    return [statistics.median(times[port]) for port in ports]


if __name__ == "__main__":
    main()
