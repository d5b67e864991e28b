"""No space is left while the body of an upload is spooled to the disk: 507, and nothing is added."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.support import import_file, nothing_added, npy_bytes, problem_of
from tests.faults.disk import Disk

LARGE = npy_bytes(np.zeros((2**16, 8)))  # 4 MiB


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk of 2 MiB where bodies are spooled."""
    (tmp_path / "spool").mkdir()
    disk = Disk(tmp_path / "spool", size_mib=2)
    if not disk.mounted:
        pytest.skip("a small disk can be mounted by root only")
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    yield disk
    disk.unmount()


def test_a_body_that_finds_no_space_is_507(api: TestClient, spool: Disk):
    with nothing_added(api, "activations"):
        problem_of(import_file(api, LARGE), 507, "storage_full")
    with nothing_added(api, "corpora"):
        refused = api.post("/v1/corpora", files={"file": ("large.txt", LARGE)}, data={"name": "large"})
        problem_of(refused, 507, "storage_full")
    assert list(spool.folder.iterdir()) == []
    assert import_file(api, npy_bytes(np.eye(3))).status_code == 201
