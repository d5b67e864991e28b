"""Processes die; jobs go on from their last segment, and nothing differs in the end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from service.client import Handle
from tests.end_to_end.conftest import ANALYSIS, PATIENCE_S, Running

SPEC = ANALYSIS | {"chunks": 800, "sites": ["blocks.1.hook_resid_post", "final_norm_out"], "reuse": False}


def wait_for_progress(handle: Handle, share: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        progress = handle.get().progress
        if progress.total and progress.done >= share * SPEC["chunks"]:
            return
        time.sleep(0.02)
    raise AssertionError("the job made no progress")


def kill(service: Running, name: str) -> int:
    process = service.supervisor.child(name).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def shards(service: Running, set_id: str) -> dict[str, str]:
    files = service.client.activations(set_id).manifest["files"]
    return {entry["name"]: entry["sha256"] for entry in files}


@pytest.fixture(scope="module")
def unbroken(service: Running) -> list[dict[str, str]]:
    return [shards(service, set_id) for set_id in service.run("extraction", SPEC).activations]


@pytest.mark.parametrize("share", [0.4])
def test_a_killed_worker_leaves_the_set_bit_identical(service: Running, unbroken: list[dict[str, str]], share: float):
    handle = service.client.submit("extraction", SPEC)
    wait_for_progress(handle, share)
    before = handle.get().progress.done
    kill(service, "compute")
    done = handle.wait(timeout_s=PATIENCE_S)
    assert before < SPEC["chunks"], "the kill came too late to mean anything"
    assert [shards(service, set_id) for set_id in done.activations] == unbroken


def test_a_killed_control_worker_loses_nothing(service: Running, unbroken: list[dict[str, str]]):
    handle = service.client.submit("extraction", SPEC)
    wait_for_progress(handle, 0.3)
    kill(service, "control")
    done = handle.wait(timeout_s=PATIENCE_S)
    assert [shards(service, set_id) for set_id in done.activations] == unbroken


def test_a_killed_api_is_back_on_its_port(service: Running):
    pid = kill(service, "api")
    service.client.wait_until_ready(PATIENCE_S)
    child = service.supervisor.child("api").process
    assert child is not None
    assert child.pid != pid


def test_nothing_unpublished_is_left(service: Running, unbroken: list[dict[str, str]]):
    staging = service.settings.artifacts_root / ".staging"
    assert [path for path in staging.glob("job-*") if any(path.rglob("*.tmp"))] == []
