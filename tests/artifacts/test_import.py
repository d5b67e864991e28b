from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import pytest
from safetensors.numpy import load_file

from service.artifacts import vector_files
from service.artifacts.activation_set import ActivationSet
from service.artifacts.importing import import_vectors
from service.errors import InvalidInput, NonFiniteData
from tests.artifacts.files import normal, npy, npy_declaring, tensors, tensors_declaring
from tests.artifacts.sets import open_set

DTYPES = ["float16", "float32", "float64"]
WRITERS = {"npy": npy, "safetensors": lambda array: tensors(anything=array)}
Endian = Literal["<", ">"]
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_format = pytest.mark.parametrize("kind", list(WRITERS))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_files, "SHARD_BYTES", 256)


def imported(folder: Path, content: bytes, **options: Any) -> ActivationSet:
    source = folder / "upload"
    source.write_bytes(content)
    import_vectors(source, folder / "set", {"id": "act-1", "name": "mine"}, **options)
    return open_set(folder / "set")


@every_dtype
@every_format
def test_vectors_come_back_in_their_dtype(tmp_path: Path, dtype: str, kind: str):
    rows = normal(dtype=dtype)
    stored = imported(tmp_path, WRITERS[kind](rows))
    np.testing.assert_array_equal(stored.vectors(), rows, strict=True)
    assert (stored.n, stored.d_model, stored.manifest["dtype"]) == (40, 6, dtype)


@every_dtype
@every_format
@pytest.mark.usefixtures("small_shards")
def test_many_shards_hold_the_rows_in_order(tmp_path: Path, dtype: str, kind: str):
    rows = normal(dtype=dtype)
    stored = imported(tmp_path, WRITERS[kind](rows))
    np.testing.assert_array_equal(stored.vectors(), rows, strict=True)
    assert len(stored.manifest["shard_rows"]) > 1
    assert sum(stored.manifest["shard_rows"]) == 40
    assert [found.vector for found in stored.rows([0, 39], vectors=True)] == [rows[0].tolist(), rows[39].tolist()]


@every_dtype
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.usefixtures("small_shards")
def test_npy_of_any_memory_order_and_byte_order_is_read(tmp_path: Path, dtype: str, order: str, endian: Endian):
    rows = normal(dtype=dtype)
    content = npy(np.asarray(rows.astype(rows.dtype.newbyteorder(endian)), order="F" if order == "F" else "C"))
    assert (b"'fortran_order': True" in content) == (order == "F")
    assert f"'{endian}f".encode() in content
    np.testing.assert_array_equal(imported(tmp_path, content).vectors(), rows, strict=True)


@every_format
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 200)])
@pytest.mark.usefixtures("small_shards")
def test_any_shape_of_two_dimensions_is_read(tmp_path: Path, kind: str, shape: tuple[int, int]):
    rows = normal(*shape)
    np.testing.assert_array_equal(imported(tmp_path, WRITERS[kind](rows)).vectors(), rows, strict=True)


def test_the_second_version_of_npy_is_read(tmp_path: Path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (40, 6)}
    content = npy_declaring(header, normal().tobytes(), (2, 0))
    np.testing.assert_array_equal(imported(tmp_path, content).vectors(), normal(), strict=True)


@every_format
def test_more_than_one_shard_of_the_real_size_is_read(tmp_path: Path, kind: str):
    rows = normal(300_000, 8, "float64")
    stored = imported(tmp_path, WRITERS[kind](rows))
    assert stored.manifest["shard_rows"] == [262_144, 37_856]
    np.testing.assert_array_equal(stored.vectors(), rows, strict=True)


@every_format
def test_the_set_tells_where_it_came_from_and_what_it_is(tmp_path: Path, kind: str):
    rows = normal(d=9)
    content = WRITERS[kind](rows)
    manifest = imported(tmp_path, content).manifest
    named = {"tensor": "anything"} if kind == "safetensors" else {}
    assert manifest["source"] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | named
    assert (manifest["id"], manifest["name"], manifest["kind"]) == ("act-1", "mine", "activations")
    norms = np.linalg.norm(rows.astype(float), axis=1)
    assert manifest["statistics"]["norm_mean"] == pytest.approx(norms.mean())
    assert manifest["statistics"]["norm_max"] == pytest.approx(norms.max())


@every_format
@pytest.mark.parametrize("row", [0, 1, 20, 38, 39])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("small_shards")
def test_the_first_row_that_is_not_finite_is_named(tmp_path: Path, kind: str, row: int, value: float):
    rows = normal()
    rows[row, -1] = value
    rows[row:, 0] = np.nan
    with pytest.raises(NonFiniteData, match=rf"row {row} is not finite"):
        imported(tmp_path, WRITERS[kind](rows))
    assert not (tmp_path / "set" / "manifest.json").exists()


@every_format
def test_nothing_is_written_of_rows_that_are_not_finite(tmp_path: Path, kind: str):
    with pytest.raises(NonFiniteData):
        imported(tmp_path, WRITERS[kind](np.full((3, 2), np.nan)))
    assert not (tmp_path / "set").exists()


@every_format
def test_vectors_whose_norm_overflows_are_refused_by_their_row(tmp_path: Path, kind: str):
    rows = normal(dtype="float64")
    rows[3] = 1.7e308
    with pytest.raises(NonFiniteData, match="the norm of row 3 overflows"):
        imported(tmp_path, WRITERS[kind](rows))
    assert not (tmp_path / "set" / "manifest.json").exists()


@pytest.mark.parametrize(("scale", "held"), [(1e-170, False), (1.0, True), (1e200, False)])
def test_a_variance_that_no_double_holds_is_left_out(tmp_path: Path, scale: float, held: bool):
    stored = imported(tmp_path, npy(normal(dtype="float64") * scale))
    assert ("variance" in load_file(stored.file("moments.safetensors"))) == held
    assert stored.manifest["statistics"]["zero_rows"] == 0


def bfloat16_file(rows: np.ndarray, name: str = "a") -> bytes:
    """The rows, which have the digits of bfloat16, as such a tensor after one of another shape."""
    upper = (rows.view(np.uint32) >> 16).astype("<u2")
    before = np.arange(3, dtype=np.float32)
    entries = {
        "bias": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
        name: {"dtype": "BF16", "shape": list(rows.shape), "data_offsets": [12, 12 + upper.nbytes]},
    }
    return tensors_declaring(entries, before.tobytes() + upper.tobytes())


@pytest.mark.usefixtures("small_shards")
def test_bfloat16_is_widened_exactly_and_the_manifest_says_so(tmp_path: Path):
    """Every finite bfloat16, subnormal numbers and both zeros included."""
    halves = np.arange(2**16, dtype=np.uint32)
    values = (halves << 16).view(np.float32)
    rows = values[np.isfinite(values)].reshape(-1, 8)
    stored = imported(tmp_path, bfloat16_file(rows), tensor="a")
    assert stored.vectors().tobytes() == rows.tobytes()
    assert (stored.manifest["dtype"], stored.manifest["stored_from"]) == ("float32", "bfloat16")
    assert stored.manifest["source"]["tensor"] == "a"
    assert len(stored.manifest["shard_rows"]) > 1


def test_a_row_of_bfloat16_that_is_not_finite_is_named(tmp_path: Path):
    rows = np.ones((5, 4), dtype=np.float32)
    rows[3, 1] = np.inf
    with pytest.raises(NonFiniteData, match="row 3 is not finite"):
        imported(tmp_path, bfloat16_file(rows), tensor="a")


def test_one_tensor_of_several_is_named(tmp_path: Path):
    content = tensors(first=normal(5), second=normal(7) + 1)
    np.testing.assert_array_equal(imported(tmp_path, content, tensor="second").vectors(), normal(7) + 1)
    with pytest.raises(InvalidInput, match=r"holds 2 tensors; name one of 'first', 'second'") as caught:
        imported(tmp_path, content)
    assert caught.value.field == "tensor"
    with pytest.raises(InvalidInput, match=r"no tensor of that name; it has 'first', 'second'") as caught:
        imported(tmp_path, content, tensor="third")
    assert caught.value.field == "tensor"
    with pytest.raises(InvalidInput, match=r"a .npy file has one array") as caught:
        imported(tmp_path, npy(normal()), tensor="first")
    assert caught.value.field == "tensor"


def test_one_thread_at_a_time_parses_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With several, Python's parser fails now and then, and a good file was refused as corrupt."""
    np.save(tmp_path / "rows.npy", np.ones((4, 2), dtype=np.float32))
    read_header, parsing = np.lib.format.read_array_header_1_0, Lock()

    def alone(*arguments: Any, **options: Any) -> Any:
        assert parsing.acquire(blocking=False)
        time.sleep(0.002)
        parsing.release()
        return read_header(*arguments, **options)

    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", alone)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: vector_files.open_vectors(tmp_path / "rows.npy").shape, range(20))) == {(4, 2)}
