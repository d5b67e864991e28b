"""No space is left while the body of an upload is written to the disk: 507, and nothing is added."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.support import client_of, import_file, nothing_added, npy_bytes, problem_of
from tests.faults.disk import Disk

LARGE = npy_bytes(np.zeros((2**16, 8)))  # 4 MiB


@pytest.fixture
def spool(settings: Settings) -> Iterator[Disk]:
    """A disk of 2 MiB where uploads are written."""
    disk = Disk(settings.uploads_root, size_mib=2)
    if not disk.mounted:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    disk.unmount()


def test_a_body_that_finds_no_space_is_507(spool: Disk, settings: Settings):
    """Without a reserve, which would refuse it sooner."""
    with client_of(settings.model_copy(update={"disk_reserve_bytes": 0})) as api:
        check(api, spool)


def check(api: TestClient, spool: Disk) -> None:
    with nothing_added(api, "activations"):
        problem_of(import_file(api, LARGE), 507, "storage_full")
    with nothing_added(api, "corpora"):
        refused = api.post("/v1/corpora", files={"file": ("large.txt", LARGE)}, data={"name": "large"})
        problem_of(refused, 507, "storage_full")
    assert list(spool.folder.iterdir()) == []
    assert import_file(api, npy_bytes(np.eye(3))).status_code == 201
