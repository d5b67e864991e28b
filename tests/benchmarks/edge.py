"""What hostile and heavy requests cost the others: `/healthz` meanwhile, and memory of the API and its children."""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil

from tests.benchmarks.attacks import ATTACKS, MIB
from tests.benchmarks.event_streams import server
from tests.databases.migrated import Databases

HEAD_S = 3.0  # until a connection that sends nothing is cut
PROBES, PAUSE_S, MEMORY_EVERY_S = 200, 0.005, 0.05


def main(attacks: Iterable[str] = ATTACKS) -> None:
    """A line of JSON for each attack, at a server of its own; `nothing` is what the probes find without any."""
    with tempfile.TemporaryDirectory() as name, closing(Databases(Path(name))) as databases:
        for at, attack in enumerate(attacks):
            folder = Path(name) / f"{at}"
            options = {"head_s": HEAD_S, "log_file": folder / "api.log"}
            with databases.settings("sqlite", folder, **options) as settings, server(settings) as port:
                print(json.dumps({"attack": attack} | cost(port, attack), ensure_ascii=False), flush=True)


def cost(port: int, attack: str) -> dict[str, object]:
    """One attack by another process, while `/healthz` is asked by one client again and again."""
    process = process_at(port)
    before, began, used = held(process), time.perf_counter(), cpu_s(process)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        attacking = pool.submit(attacked, attack, port)
        times, most = probe(port, process, attacking)
        seconds, statuses = time.perf_counter() - began, attacking.result()
    times.sort()
    return {
        "statuses": dict(Counter(statuses)),
        "seconds": round(seconds, 1),
        "api_cpu_s": round(cpu_s(process) - used, 2),
        "probes": len(times),
        "healthz_p50_ms": round(1e3 * times[len(times) // 2], 1),
        "healthz_p99_ms": round(1e3 * times[int(0.99 * len(times))], 1),
        "healthz_worst_ms": round(1e3 * times[-1], 1),
        "rss_added_mib": round((most - before) / MIB),
    }


def attacked(attack: str, port: int) -> list[int]:
    """In the process that attacks."""
    return ATTACKS[attack](port)


def probe(port: int, process: psutil.Process, attacking: Future[list[int]]) -> tuple[list[float], int]:
    """Seconds of each `GET /healthz`, one after another until the attack has ended, and the most memory held."""
    times, most, measured = list[float](), 0, 0.0
    with closing(HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        while not attacking.done() or len(times) < PROBES:
            asked = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            times.append(time.perf_counter() - asked)
            if asked - measured > MEMORY_EVERY_S:
                most, measured = max(most, held(process)), asked
            time.sleep(PAUSE_S)
    return times, most


def process_at(port: int) -> psutil.Process:
    """The process that listens there."""
    found = (one for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid)
    return psutil.Process(next(found).pid)


def cpu_s(process: psutil.Process) -> float:
    """CPU time of the process alone, also what it did for the probes."""
    times = process.cpu_times()
    return times.user + times.system


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
    main(sys.argv[1:] or ATTACKS)
