"""Processes die; jobs go on from their last segment, and nothing differs in the end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from service.client import Finished, Handle
from tests.end_to_end.conftest import EXTRACTION, PATIENCE_S, Running


def wait_for_progress(handle: Handle, share: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        progress = handle.get().progress
        if progress.total and progress.done >= share * EXTRACTION["chunks"]:
            return
        time.sleep(0.02)
    raise AssertionError("the job made no progress")


def kill(service: Running, name: str) -> int:
    process = service.supervisor.child(name).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def shards(service: Running, done: Finished) -> list[dict[str, str]]:
    return [service.shards(set_id) for set_id in done.activations]


@pytest.mark.long  # among all tests, a compute worker is killed in tests/faults and in test_training.py
@pytest.mark.parametrize("share", [0.4])
def test_a_killed_worker_leaves_the_set_bit_identical(service: Running, unbroken: Finished, share: float):
    handle = service.client.submit("extraction", EXTRACTION)
    wait_for_progress(handle, share)
    before = handle.get().progress.done
    kill(service, "compute")
    done = handle.wait(timeout_s=PATIENCE_S)
    assert before < EXTRACTION["chunks"], "the kill came too late to mean anything"
    assert shards(service, done) == shards(service, unbroken)


@pytest.mark.long
def test_a_killed_control_worker_loses_nothing(service: Running, unbroken: Finished):
    handle = service.client.submit("extraction", EXTRACTION)
    wait_for_progress(handle, 0.3)
    kill(service, "control")
    done = handle.wait(timeout_s=PATIENCE_S)
    assert shards(service, done) == shards(service, unbroken)


def test_a_killed_api_is_back_on_its_port(service: Running):
    pid = kill(service, "api")
    service.client.wait_until_ready(PATIENCE_S)
    child = service.supervisor.child("api").process
    assert child is not None
    assert child.pid != pid


def test_nothing_unpublished_is_left(service: Running, unbroken: Finished):
    staging = service.settings.artifacts_root / ".staging"
    assert [path for path in staging.glob("job-*") if any(path.rglob("*.tmp"))] == []
