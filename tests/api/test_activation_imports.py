"""POST /v1/activations: a user's own vectors, checked before anything is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.errors import Unavailable
from service.settings import Settings
from tests.api.support import CANARY, fields_of, files_below, import_array, import_file, npy_bytes, problem_of

VECTORS = np.arange(60, dtype=np.float32).reshape(20, 3)


def kept(settings: Settings) -> list[str]:
    return files_below(settings.artifacts_root, settings.uploads_root)


def spoiled(row: int, value: float) -> np.ndarray:
    vectors = VECTORS.copy()
    vectors[row, 1] = value
    return vectors


def header(text: str, data: bytes = b"") -> bytes:
    """A .npy file of version 1.0 with a header of our choice."""
    return b"\x93NUMPY\x01\x00" + len(text.encode()).to_bytes(2, "little") + text.encode() + data


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_npy_file_is_imported_in_its_dtype(refusing: TestClient, dtype: Any):
    response = import_file(refusing, npy_bytes(VECTORS.astype(dtype)), name="mine")
    assert response.status_code == 201, response.text
    body = response.json()
    assert response.headers["location"] == f"/v1/activations/{body['id']}"
    assert (body["name"], body["n"], body["d_model"], body["dtype"]) == ("mine", 20, 3, np.dtype(dtype).name)
    assert (body["job"], body["site"]) == (None, None)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_safetensors_file_is_imported_in_its_dtype(refusing: TestClient, dtype: Any):
    response = import_file(refusing, save({"any name": VECTORS.astype(dtype)}))
    assert response.status_code == 201, response.text
    body = response.json()
    assert (body["n"], body["d_model"], body["dtype"]) == (20, 3, np.dtype(dtype).name)
    rows = refusing.get(f"{response.headers['location']}/rows", params={"vectors": True}).json()["data"]
    assert [row["vector"] for row in rows] == VECTORS.tolist()


LAYOUTS = {
    "big-endian": VECTORS.astype(">f4"),
    "by columns": np.asfortranarray(VECTORS),
    "one row": VECTORS[:1],
    "one column": VECTORS[:, :1],
    "zeros": np.zeros((3, 2)),
    "the smallest doubles": np.full((3, 2), 5e-324),
    "the largest halves": np.full((3, 2), 65504, dtype=np.float16),
}


@pytest.mark.parametrize("vectors", LAYOUTS.values(), ids=LAYOUTS)
def test_the_values_are_kept_whatever_the_layout(refusing: TestClient, vectors: np.ndarray):
    set_id = import_array(refusing, vectors)
    rows = refusing.get(f"/v1/activations/{set_id}/rows", params={"vectors": True}).json()["data"]
    assert np.array_equal([row["vector"] for row in rows], vectors.astype(np.float64))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 7, 19])
def test_a_row_that_is_not_finite_is_named(refusing: TestClient, refusing_settings: Settings, row: int, value: float):
    before = kept(refusing_settings)
    problem = problem_of(import_file(refusing, npy_bytes(spoiled(row, value))), 422, "non_finite_data")
    assert f"row {row} " in problem["detail"]
    assert kept(refusing_settings) == before


def test_vectors_whose_norm_overflows_are_refused_by_their_row(refusing: TestClient):
    vectors = np.array([[1e200, 1e200], [1.7e308, -1.7e308]])
    problem = problem_of(import_file(refusing, npy_bytes(vectors)), 422, "non_finite_data")
    assert problem["detail"] == "the norm of row 1 overflows a double; scale the vectors down"


def test_a_tensor_is_named_and_rows_have_ids_and_labels(api: TestClient, settings: Settings):
    files = {
        "file": ("vectors", save({"a": VECTORS, "b": VECTORS[:3] + 1})),
        "ids": ("ids.txt", b"x\ny\nz\n"),
        "labels": ("labels.txt", b"cat\ndog\ncat\n"),
    }
    problem = problem_of(api.post("/v1/activations", files=files), 422, "invalid_input")
    assert problem["errors"][0]["field"] == "tensor"
    assert kept(settings) == []
    made = api.post("/v1/activations", files=files, data={"tensor": "b"})
    assert made.status_code == 201, made.text
    rows = api.get(f"{made.headers['location']}/rows", params={"vectors": True}).json()["data"]
    assert [(row["id"], row["label"]) for row in rows] == [("x", "cat"), ("y", "dog"), ("z", "cat")]
    assert [row["vector"] for row in rows] == (VECTORS[:3] + 1).tolist()
    assert files_below(settings.uploads_root) == []


def test_labels_that_do_not_fit_the_rows_are_refused(refusing: TestClient):
    files = {"file": ("vectors", npy_bytes(VECTORS)), "labels": ("labels.txt", b"cat\n")}
    problem = problem_of(refusing.post("/v1/activations", files=files), 422, "invalid_input")
    assert problem["errors"] == [{"field": "labels", "message": "there are 1 lines for the 20 rows of the vectors"}]


REFUSED = {
    "whole numbers": npy_bytes(VECTORS.astype(int)),
    "complex": npy_bytes(VECTORS.astype(complex)),
    "long double": npy_bytes(VECTORS.astype(np.longdouble)),
    "structured": npy_bytes(np.zeros(3, dtype=[("a", "f4")])),
    "one dimension": npy_bytes(VECTORS[0]),
    "three dimensions": npy_bytes(VECTORS[None]),
    "no rows": npy_bytes(VECTORS[:0]),
    "no columns": npy_bytes(VECTORS[:, :0]),
    "truncated": npy_bytes(VECTORS)[:-1],
    "longer than declared": npy_bytes(VECTORS) + b"x",
    "empty": b"",
    "text": CANARY.encode(),
    "magic only": b"\x93NUMPY",
    "magic and version only": b"\x93NUMPY\x01\x00",
    "unknown version": b"\x93NUMPY\x09\x00" + b" " * 100,
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2)}\n", b"\x80\x04cos\nsystem\n"),
    "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n",
    "a shape beyond the file": header("{'descr': '<f4', 'fortran_order': False, 'shape': (2**40, 2**40)}\n"),
    "a huge shape": header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**18}, {10**18})}}\n"),
    "a negative shape": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -2)}\n", b"0" * 16),
    "a shape of truths": header("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 4)}\n", b"0" * 16),
    "a deep header": header("(" * 9000),
    "a header that is code": header("__import__('os').system('true')\n"),
    "a header without end": header("{'descr': '<f4'"),
    "two tensors": save({"a": VECTORS, "b": VECTORS}),
    "no tensor": (2).to_bytes(8, "little") + b"{}",
    "a tensor of whole numbers": save({"a": VECTORS.astype(int)}),
    "a tensor of three dimensions": save({"a": VECTORS[None]}),
    "a tensor that is not finite": save({"a": spoiled(5, np.nan)}),
    "truncated safetensors": save({"a": VECTORS})[:-1],
    "a safetensors length beyond the file": b"\xff" * 8 + b"{}",
    "a deep safetensors header": (100_000).to_bytes(8, "little") + b"[" * 100_000,
    "a safetensors header that is an array": (8).to_bytes(8, "little") + b"[]      ",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_other_files_are_refused_and_not_kept(refusing: TestClient, refusing_settings: Settings, content: bytes):
    before = kept(refusing_settings)
    response = import_file(refusing, content)
    problem_of(response, 422)
    assert CANARY not in response.text
    assert kept(refusing_settings) == before


@pytest.mark.parametrize("name", ["a\n", "a\x00", "x" * 129], ids=["line end", "NUL", "too long"])
def test_a_wrong_name_is_refused_and_nothing_kept(refusing: TestClient, refusing_settings: Settings, name: str):
    before = kept(refusing_settings)
    problem_of(import_file(refusing, npy_bytes(VECTORS), name=name), 422, "invalid_input")
    assert kept(refusing_settings) == before


@pytest.mark.parametrize("form", [{"data": {"name": "x"}}, {"data": {"file": "x"}}, {"json": {"file": "x"}}, {}])
def test_a_request_that_is_no_form_with_files_is_refused(refusing: TestClient, form: dict[str, Any]):
    problem_of(refusing.post("/v1/activations", **form), 415, "unsupported_media_type")


@pytest.mark.parametrize("files", [{"name": (None, b"x")}, {"file": (None, b"x")}, {"ids": ("a", b"1")}])
def test_a_form_without_a_file_is_refused(refusing: TestClient, files: dict[str, Any]):
    problem = problem_of(refusing.post("/v1/activations", files=files), 422, "invalid_input")
    assert fields_of(problem) == ["file"]


@pytest.mark.parametrize("step", ["import_vectors", "publish_folder", "activations.publish"])
def test_an_import_that_fails_half_way_leaves_no_file(
    api: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, step: str
):
    def fail(*_: Any, **_options: Any) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(f"service.api.activations.{step}", fail)
    problem_of(import_file(api, npy_bytes(VECTORS)), 503, "unavailable")
    assert kept(settings) == []
    assert api.get("/v1/activations").json()["data"] == []


@pytest.mark.parametrize("committed", [True, False])
def test_an_import_whose_commit_may_have_happened_keeps_its_files(
    api: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch, committed: bool
):
    begin = Catalog.begin

    @contextmanager
    def cut_off(self: Catalog) -> Iterator[Any]:
        with begin(self) as connection:
            yield connection
            if not committed:
                connection.rollback()
        raise Unavailable("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "begin", cut_off)
        problem_of(import_file(api, npy_bytes(VECTORS)), 503, "unavailable")
    listed = [found["id"] for found in api.get("/v1/activations").json()["data"]]
    assert len(listed) == committed
    for set_id in listed:
        assert api.get(f"/v1/activations/{set_id}/rows").status_code == 200
    assert {name.partition("/")[0] for name in kept(settings)} >= set(listed)
    assert len(kept(settings)) == 3


def test_an_import_leaves_nothing_but_the_set(api: TestClient, settings: Settings):
    set_id = import_array(api, VECTORS)
    wanted = ["manifest.json", "moments.safetensors", "shard-00000.safetensors"]
    assert kept(settings) == [f"{set_id}/{name}" for name in wanted]
