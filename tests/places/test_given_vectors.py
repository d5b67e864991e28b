"""Vectors that are given in a file or from a program: read, or refused in a sentence that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.client.arrays import rows_of, stream_of
from service.commands.reading import read_array
from service.errors import InvalidInput

ROWS = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, 4.0]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8", "int32"])
def test_a_file_of_numbers_is_read(tmp_path: Path, dtype: str):
    expected = ROWS.astype(dtype).astype(np.float64)
    np.save(tmp_path / "rows.npy", ROWS.astype(dtype))
    np.savez(tmp_path / "rows.npz", anything=ROWS.astype(dtype))
    for name in ("rows.npy", "rows.npz"):
        found = read_array(tmp_path / name, "vectors")
        assert (found.dtype, found.tolist()) == (np.float64, expected.tolist())


def test_a_file_that_is_not_one_of_numbers_is_named(tmp_path: Path):
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "complex.npy", ROWS * 1j)
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    np.save(tmp_path / "objects.npy", np.array([[object()]]), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", a=np.array([[object()]]))
    (tmp_path / "rows.txt").write_text("1 2 3")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    whole = tmp_path / "whole.npz"
    np.savez(whole, a=np.zeros((100, 100)))
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-40])
    refused = {
        "two.npz": "must hold one array; it holds a, b",
        "none.npz": "must hold one array; it holds none",
        "complex.npy": "holds complex128, not real numbers",
        "text.npy": "holds <U1, not real numbers",
        "missing.npy": "there is no file",
    } | dict.fromkeys(
        ["objects.npy", "objects.npz", "rows.txt", "empty.npy", "folder", "cut.npz"],
        "is not a .npy or .npz file of numbers",
    )
    for name, message in refused.items():
        with pytest.raises(InvalidInput) as caught:
            read_array(tmp_path / name, "vectors")
        assert message in caught.value.detail
        assert caught.value.detail.startswith("--vectors: ")
        assert str(tmp_path / name) in caught.value.detail


@pytest.mark.parametrize(
    "given",
    [
        ROWS,
        ROWS.tolist(),
        torch.tensor(ROWS),
        torch.tensor(ROWS, requires_grad=True),
        torch.tensor(ROWS, dtype=torch.bfloat16),
        torch.tensor(ROWS, dtype=torch.float16),
        torch.tensor(ROWS.T.copy()).T,
    ],
    ids=["array", "list", "tensor", "gradient", "bfloat16", "float16", "transposed"],
)
def test_arrays_lists_and_tensors_are_rows(given: Any):
    assert rows_of(given, "vectors") == ROWS.tolist()
    with stream_of(given) as stream:
        assert np.load(stream, allow_pickle=False).tolist() == ROWS.tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 2.0], r"two dimensions, \(rows, d_model\), not 1"),
        (torch.ones(3), "two dimensions"),
        (np.ones((1, 2, 3)), "not 3"),
        ([[1.0, 2.0], [3.0]], "rows of numbers, all of one length"),
        ([["a"]], "must be real numbers"),
        (ROWS * 1j, "must be real numbers; they are complex128"),
        ([[None]], "must be real numbers"),
        (np.array([[True]]), "must be real numbers; they are bool"),
    ],
)
def test_what_is_not_rows_of_numbers_is_said(given: Any, message: str):
    with pytest.raises(InvalidInput, match=message) as caught:
        rows_of(given, "vectors")
    assert caught.value.field == "vectors"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_row_of_a_number_that_is_not_finite_is_named(value: float):
    rows = ROWS.copy()
    rows[1, 2] = value
    with pytest.raises(InvalidInput, match="row 1 of queries has a NaN or an infinity"):
        rows_of(rows, "queries")


def test_a_path_may_be_text(tmp_path: Path):
    np.save(tmp_path / "rows.npy", ROWS)
    for path in (tmp_path / "rows.npy", str(tmp_path / "rows.npy")):
        with stream_of(path) as stream:
            assert np.load(stream, allow_pickle=False).tolist() == ROWS.tolist()
