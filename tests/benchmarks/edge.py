"""What hostile and heavy requests cost the others: `/healthz` meanwhile, and memory of the API and its children."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil

from tests.benchmarks.event_streams import server
from tests.databases.migrated import Databases

MIB = 2**20
EVALUATE, JOBS, JSON = "/v1/energy/evaluate", "/v1/jobs", {"content-type": "application/json"}


def evaluation(patterns: bytes) -> bytes:
    """The body of an evaluation with these patterns."""
    return b'{"queries": [[0]], "patterns": [' + patterns + b"]}"


def legal(rows: int = 1_000, numbers: int = 999) -> bytes:
    """An evaluation at the limit of numbers, with all digits of each."""
    row = b"[" + b",".join(b"-0.%017d" % (10**16 + 7 * at) for at in range(numbers)) + b"]"
    query = b"[" + b",".join([b"0.5"] * numbers) + b"]"
    return b'{"queries": [' + query + b'], "patterns": [' + b",".join([row] * rows) + b"]}"


ATTACKS: dict[str, tuple[str, bytes, int]] = {  # path, body, how many at once
    "1 small evaluation": (EVALUATE, evaluation(b"[0]"), 1),
    "32 MB of [0],[0],…": (EVALUATE, evaluation(b"[0]," * (8 * MIB - 100) + b"[0]"), 1),
    "4 MB of [0],[0],… at the limit": (EVALUATE, evaluation(b"[0]," * 999_990 + b"[0]"), 1),
    "4 MB of wrong values": (EVALUATE, evaluation(b'["a"],' * 999_990 + b"[0]"), 1),
    "30 MB of [[[[…": (EVALUATE, b"[" * (30 * MIB), 1),
    "30 MB of one string": (EVALUATE, b'{"queries": "' + b"a" * (30 * MIB) + b'"}', 1),
    "30 MB of escapes": (EVALUATE, b'{"queries": "' + b"\\u00e9" * (5 * MIB) + b'"}', 1),
    "a job of 8 MB of [0],[0],…": (
        "/v1/jobs",
        b'{"kind": "x", "spec": {"a": [' + b"[0]," * (2 * MIB - 20) + b"0]}}",
        1,
    ),
    "a job with a string of 8 MB": (JOBS, b'{"kind": "x", "spec": {"a": "' + b"a" * (8 * MIB - 99) + b'"}}', 1),
    "1 legal evaluation at the limit": (EVALUATE, legal(), 1),
    "8 legal evaluations at the limit": (EVALUATE, legal(), 8),
    "50 small evaluations at once": (EVALUATE, evaluation(b"[0.5]," * 200 + b"[0.5]"), 50),
}


@dataclass(frozen=True)
class Cost:
    """What one attack did."""

    statuses: list[int]
    seconds: float
    p99_ms: float
    worst_ms: float
    memory_mib: float

    def __str__(self) -> str:
        health = f"health p99 {self.p99_ms:.0f} ms, worst {self.worst_ms:.0f} ms"
        return f"{sorted(self.statuses)} in {self.seconds:.1f} s; {health}; +{self.memory_mib:.0f} MiB"


def main() -> None:
    """Each attack at a server of its own."""
    with tempfile.TemporaryDirectory() as name, closing(Databases(Path(name))) as databases:
        for at, (attack, (path, body, count)) in enumerate(ATTACKS.items()):
            with databases.settings("sqlite", Path(name) / f"{at}") as settings, server(settings) as port:
                print(f"{attack}: {cost(port, lambda url, p=path, b=body: send(url + p, b), count)}", flush=True)


def send(url: str, body: bytes) -> int:
    """The status of one request."""
    there = urlsplit(url)
    with closing(HTTPConnection(there.netloc, timeout=300)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            connection.request("POST", there.path, body, JSON)
        try:
            response = connection.getresponse()
            response.read()
        except ConnectionResetError:
            return 0
        return response.status


def cost(port: int, request: Callable[[str], int], count: int) -> Cost:
    """`count` requests at once, while `/healthz` is asked."""
    url, ended = f"http://127.0.0.1:{port}", threading.Event()
    family = next(c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid)
    process = psutil.Process(family)
    before, times, memory = held(process), list[float](), [0]
    with ThreadPoolExecutor(count + 1) as pool, httpx2.Client(timeout=300) as client:
        client.get(url + "/healthz")
        began = time.perf_counter()
        watching = pool.submit(watch, process, memory, ended)
        sent = [pool.submit(request, url) for _ in range(count)]
        while not all(future.done() for future in sent) or len(times) < 50:
            asked = time.perf_counter()
            client.get(url + "/healthz")
            times.append(time.perf_counter() - asked)
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        ended.set()
        watching.result()
    times.sort()
    statuses = [future.result() for future in sent]
    return Cost(statuses, seconds, 1e3 * times[int(0.99 * len(times))], 1e3 * times[-1], (memory[0] - before) / MIB)


def watch(process: psutil.Process, memory: list[int], ended: threading.Event) -> None:
    """Keep the most memory that the process and its children held."""
    while not ended.wait(0.05):
        memory[0] = max(memory[0], held(process))


def held(process: psutil.Process) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
