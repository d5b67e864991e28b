"""Uploads are written once, leave the reserve of the disk free, and rows of an import are bounded."""

# One database: uploads are files.

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.opened import listening
from tests.api.support import client_of, files_below, import_array, import_file, npy_bytes, problem_of
from tests.databases.migrated import sqlite_settings

TEXT = b"some text\n" * 300_000  # 3 MB


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keeping(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A service that is told of a disk with 2 MB beyond the reserve: the real one changes while others write."""
    used = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: used._replace(free=7_000_000))
    with client_of(sqlite_settings(folder, disk_reserve_bytes=5_000_000)) as client:
        yield client


def test_an_upload_is_written_once(folder: Path):
    with client_of(sqlite_settings(folder)) as client, listening() as opened:
        assert client.post("/v1/corpora", files={"file": ("a.txt", TEXT)}).status_code == 201
    written = [path for path in opened.written_below(folder.parent) if "uploads" in path.parts]
    assert len(written) == 1
    (kept,) = (folder / "uploads").iterdir()
    assert kept.read_bytes() == TEXT


@pytest.mark.parametrize(("route", "name", "content"), [
    ("/v1/corpora", "a.txt", TEXT), ("/v1/activations", "a.npy", npy_bytes(np.zeros((3_000, 128)))),
])  # fmt: skip
@pytest.mark.parametrize("declared", [True, False], ids=["with a length", "in parts"])
def test_an_upload_that_would_use_the_reserve_is_507(
    keeping: TestClient, folder: Path, route: str, name: str, content: bytes, *, declared: bool
):
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    form = head + content + b"\r\n--x--\r\n"
    parts = (form[start : start + 65_536] for start in range(0, len(form), 65_536))
    response = keeping.post(
        route, content=form if declared else parts, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert "reserve" in problem_of(response, 507, "storage_full")["detail"]
    assert files_below(folder / "uploads", folder / "artifacts") == []


def test_what_fits_beside_the_reserve_is_taken(keeping: TestClient):
    assert import_file(keeping, npy_bytes(np.eye(3))).status_code == 201


def test_rows_longer_than_the_limit_are_refused(folder: Path):
    with client_of(sqlite_settings(folder, max_d_model=100)) as client:
        assert import_file(client, npy_bytes(np.ones((2, 100)))).status_code == 201
        problem = problem_of(import_file(client, npy_bytes(np.ones((2, 101)))), 413, "too_large")
        assert problem["errors"] == [{"field": "file", "message": "d_model is at most 100 (max_d_model)"}]


def test_a_page_of_rows_with_vectors_is_bounded_in_bytes(folder: Path):
    """40 numbers of about 20 bytes: a page of 2,000 bytes has two rows, and the pages together have all."""
    rows = np.random.default_rng(0).normal(size=(7, 40))
    with client_of(sqlite_settings(folder, max_page_bytes=2_000)) as client:
        set_id, after, found = import_array(client, rows), "", list[list[float]]()
        while after is not None:
            page = client.get(f"/v1/activations/{set_id}/rows?vectors=true{after and '&after=' + after}").json()
            assert 1 <= len(page["data"]) <= 2
            found += [row["vector"] for row in page["data"]]
            after = page["next"]
        assert (np.array(found) == rows).all()
        assert len(client.get(f"/v1/activations/{set_id}/rows").json()["data"]) == 7
