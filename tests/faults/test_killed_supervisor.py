"""`radius up` is killed by kill -9 in the middle of a job: within seconds nothing of it runs any more."""

# One database: `radius up` as a person starts it.

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from service.client import Client, Handle
from tests.faults.conftest import Tally
from tests.faults.fleet import wait_until

pytestmark = pytest.mark.long

ROWS = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
CHILDREN = 4


@contextmanager
def up(folder: Path) -> Iterator[tuple[psutil.Popen, Client]]:
    """`radius up` as a person starts it; whatever is left of it at the end is killed."""
    command = [sys.executable, "-m", "service.cli", "up", "--port", "0", "--data-dir", str(folder)]
    supervisor = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert supervisor.stdout is not None
    try:
        line = supervisor.stdout.readline().decode()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        with Client(url) as client:
            client.wait_until_ready()
            yield supervisor, client
    finally:
        if supervisor.is_running():
            supervisor.kill()
            supervisor.wait()
        supervisor.stdout.close()
        for process in of(folder):
            process.kill()


def of(folder: Path) -> list[psutil.Process]:
    """Every process of this data directory, whoever its parent is by now."""
    wanted, found = f"RADIUS_DATA_DIR={folder}".encode(), []
    for process in psutil.process_iter():
        try:
            given = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
        if wanted in given.split(b"\0"):
            found.append(process)
    return found


def working(handle: Handle) -> bool:
    return handle.get().state == "running" and handle.get().progress.done > 0


def test_no_process_outlives_it(tmp_path: Path, tally: Tally):
    folder = tmp_path / "data"
    with up(folder) as (supervisor, client):
        set_id = client.import_vectors(ROWS).id
        first = {process.pid for process in of(folder)}
        assert len(first) == CHILDREN
        api = next(process for process in of(folder) if "service.server" in process.cmdline())
        os.kill(api.pid, signal.SIGKILL)  # one child that was started again, by another thread
        wait_until(lambda: len({process.pid for process in of(folder)} - first) == 1, "the API is started again")
        client.wait_until_ready()
        handle = client.submit("radius", {"activations": set_id})
        wait_until(lambda: working(handle), "the job is under way")
        left = of(folder)
        supervisor.kill()
        supervisor.wait()
        gone, alive = psutil.wait_procs(left, timeout=20)
    tally(children=len(left), gone=len(gone), orphans=len(alive))
    assert len(left) == CHILDREN
    assert alive == []
