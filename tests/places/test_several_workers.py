"""Several compute workers as processes: they share the cores, one that dies is started again, a stop ends them all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from service.client import Client
from service.commands.administration import check_health
from service.compute_workers import recorded_names, usable_cores
from service.contracts.workers import Worker
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
WORKER = ("worker", "--role", "compute")
THREADS = str(max(1, usable_cores() // 2))
LIGHT = """
import json, os, signal, sys
from pathlib import Path

folder, name = Path(os.environ["RADIUS_DATA_DIR"]), sys.argv[-1]
if os.environ["RADIUS_WORKER_NAME"] in os.environ.get("FAILING", "").split():
    sys.exit(f"{name} cannot start")
signal.signal(signal.SIGTERM, lambda *_: ((folder / f"{name}.stopped").touch(), sys.exit(0)))
(folder / f"{name}.writing").write_text(json.dumps({"pid": os.getpid(), "environment": dict(os.environ)}))
(folder / f"{name}.writing").rename(folder / f"{name}.json")
while True:
    signal.pause()
"""  # in place of workers/main.py: it reports its environment, and loads no library


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def started(*arguments: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`radius …`, which is killed if it is left running; the kernel then stops its children."""
    given = {"PYTHONPATH": str(ROOT), "RADIUS_DATA_DIR": str(folder), "RADIUS_RESTART_DELAY_S": "0.1"} | variables
    command = [sys.executable, "-m", "service.cli", *arguments]
    process = subprocess.Popen(command, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()  # its end comes when no child writes there any more


@pytest.fixture
def light(tmp_path: Path) -> str:
    """PYTHONPATH of worker processes that do nothing."""
    (tmp_path / "first" / "workers").mkdir(parents=True)
    (tmp_path / "first" / "workers" / "__init__.py").write_text("")
    (tmp_path / "first" / "workers" / "main.py").write_text(LIGHT)
    return f"{tmp_path / 'first'}:{ROOT}"


def report(folder: Path, name: str) -> dict:
    """What a light worker says of itself; process 0 before it does."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"pid": 0}


def pids(folder: Path) -> list[int]:
    return [report(folder, name)["pid"] for name in ("compute-0", "compute-1")]


def test_one_that_is_killed_comes_back_and_a_stop_ends_all(tmp_path: Path, light: str):
    folder = tmp_path / "data"
    with started(*WORKER, "--devices", "cpu,cpu", folder=folder, PYTHONPATH=light, OMP_NUM_THREADS="64") as process:
        until(lambda: all(pids(folder)), "both start")
        for number in (0, 1):
            found = report(folder, f"compute-{number}")["environment"]
            assert found["RADIUS_WORKER_NAME"] == f"local-{number}"
            assert (found["RADIUS_TORCH_THREADS"], found["OMP_NUM_THREADS"]) == (THREADS, THREADS)
            assert found["RADIUS_DEVICE"] == "cpu"
        assert recorded_names(Settings(data_dir=folder)) == ["compute-local-0", "compute-local-1"]
        first, other = pids(folder)
        os.kill(first, signal.SIGKILL)
        until(lambda: pids(folder)[0] != first, "the killed one comes back")
        again = report(folder, "compute-0")
        assert pids(folder) == [again["pid"], other]
        assert again["environment"]["RADIUS_WORKER_NAME"] == "local-0"
        process.send_signal(signal.SIGTERM)
        _, lines = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert b"compute-0 was killed by signal 9" in lines
    assert {path.name for path in folder.glob("*.stopped")} == {"compute-0.stopped", "compute-1.stopped"}
    assert not any(psutil.pid_exists(pid) for pid in (again["pid"], other))


def test_none_outlives_its_parent(tmp_path: Path, light: str):
    """Neither one of the first nor one that was started again, by another thread."""
    folder = tmp_path / "data"
    with started(*WORKER, folder=folder, PYTHONPATH=light, RADIUS_DEVICES="cpu,cpu") as process:
        until(lambda: all(pids(folder)), "both start")
        first, other = pids(folder)
        os.kill(first, signal.SIGKILL)
        until(lambda: pids(folder)[0] != first, "the killed one comes back")
        left = [psutil.Process(pid) for pid in pids(folder)]
        process.kill()
        _, alive = psutil.wait_procs(left, PATIENCE_S)
    assert other == left[1].pid
    assert alive == []


def test_one_that_fails_at_its_start_ends_them_with_its_name(tmp_path: Path, light: str):
    variables = {"RADIUS_DEVICES": "cpu,cpu", "FAILING": "local-1", "PYTHONPATH": light}
    with started(*WORKER, folder=tmp_path / "data", **variables) as process:
        _, lines = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert b"compute-1 cannot start" in lines  # its own line, as it writes to the same place
    assert b"the compute-1 process ended at its start with exit code 1" in lines


@pytest.mark.long
def test_real_workers_under_up(tmp_path: Path):
    """What `radius workers` shows, before and after a death."""
    folder = tmp_path / "data"
    eager = {"RADIUS_TAKEOVER_INTERVAL_S": "0.5"}
    with started("up", "--port", "0", "--devices", "cpu,cpu", folder=folder, **eager) as process:
        assert process.stdout is not None
        url = next(word for word in process.stdout.readline().decode().split() if word.startswith("http://"))
        with Client(url, timeout_s=PATIENCE_S) as client:
            client.wait_until_ready()

            def computing() -> list[Worker]:
                return [one for one in client.workers() if one.role == "compute" and one.device and one.report]

            until(lambda: [one.name for one in computing()] == ["compute-local-0", "compute-local-1"], "both are shown")
            check_health("compute", Settings(data_dir=folder))
            begun = {one.name: one.report.started_at for one in computing() if one.report}
            (victim,) = (each for each in psutil.Process(process.pid).children() if "compute-1" in each.cmdline())
            assert victim.environ()["OMP_NUM_THREADS"] == THREADS
            victim.kill()

            def renewed() -> list[str]:
                return [one.name for one in computing() if one.report and one.report.started_at > begun[one.name]]

            until(lambda: bool(renewed()), "the killed one comes back")
            assert renewed() == ["compute-local-1"]
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert not any(child.is_running() for child in children)
    assert (folder / "logs" / "compute-1.log").read_text().count("compute-1 INFO ready") == 2
