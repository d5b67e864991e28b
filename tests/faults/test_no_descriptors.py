"""A server whose file descriptors are all in use: its log stays small, it does not spin, and it serves again."""

# One database: connections are accepted before anything is read.

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from service.settings import Settings
from service.supervisor import environment
from tests.databases.migrated import sqlite_settings
from tests.faults.conftest import Tally
from tests.faults.fleet import wait_until

FREE, WAITING = 8, 40  # descriptors that are left; connections beyond them
OBSERVED_S, MOST_LOG_BYTES, MOST_CPU_SHARE = 3.0, 20_000, 0.3
HALF_A_REQUEST = b"GET /healthz HTTP/1.1\r\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return sqlite_settings(tmp_path / "data", log_file=tmp_path / "api.log", head_s=300)


@pytest.fixture
def server(settings: Settings) -> Iterator[tuple[psutil.Popen, int]]:
    """An API process that answers, and its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        command = [sys.executable, "-m", "service.server", "--fd", str(listening.fileno())]
        process = psutil.Popen(command, pass_fds=[listening.fileno()], env=environment(settings))
        try:
            port = listening.getsockname()[1]
            wait_until(lambda: answers(port), "the server answers")
            yield process, port
        finally:
            with suppress(psutil.NoSuchProcess):  # the test has ended it
                process.kill()
            process.wait()


def answers(port: int) -> bool:
    """Whether a new connection is served."""
    with suppress(httpx2.HTTPError):
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=2).is_success
    return False


def test_without_descriptors_it_waits_quietly(server: tuple[psutil.Popen, int], settings: Settings, tally: Tally):
    (process, port), log = server, settings.log_file
    assert log is not None
    most = process.num_fds() + FREE
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(FREE + WAITING)]
    try:
        for connection in opened:
            connection.sendall(HALF_A_REQUEST)
        wait_until(lambda: "out of system resource" in log.read_text(), "accept finds no descriptor")
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(OBSERVED_S)  # a time in which it could spin
        used = sum(process.cpu_times()[:2]) - sum(before[:2])
        share = used / (time.monotonic() - began)
        assert process.num_fds() == most
        assert not answers(port)
    finally:
        for connection in opened:
            connection.close()
    wait_until(lambda: answers(port), "the server answers again")
    process.terminate()  # what waits for descriptors then is logged too
    assert process.wait() == 0
    tally(log_bytes=log.stat().st_size, cpu_share=round(share, 3))
    assert log.stat().st_size < MOST_LOG_BYTES
    assert share < MOST_CPU_SHARE
