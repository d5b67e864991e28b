from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from service.artifacts.activation_set import finish_set, save_tensors, shard_name
from service.errors import CorruptArtifact, NonFiniteData
from tests.artifacts.sets import TOKENS, make_set, open_set

POSITIONS: list[str | int] = ["last", 0, 2, "all"]
every_position = pytest.mark.parametrize("position", POSITIONS)
every_split = pytest.mark.parametrize("shards", [[7], [3, 3, 1], [1, 1, 1, 1]])


@every_position
@every_split
def test_all_vectors_are_read_in_order(tmp_path: Path, shards: list[int], position: str | int):
    made = make_set(tmp_path, shards, position)
    np.testing.assert_array_equal(made.stored.vectors(), made.vectors, strict=True)
    assert (made.stored.n, made.stored.d_model) == made.vectors.shape


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_vectors_keep_their_dtype(tmp_path: Path, dtype: str):
    made = make_set(tmp_path, [3, 1], dtype=dtype)
    np.testing.assert_array_equal(made.stored.vectors(), made.vectors, strict=True)
    assert made.stored.manifest["dtype"] == dtype


def test_the_mean_is_that_of_all_rows(tmp_path: Path):
    made = make_set(tmp_path, [3, 3, 1], "all")
    np.testing.assert_allclose(made.stored.mean(), made.vectors.astype(float).mean(axis=0), rtol=1e-14)
    variance = load_file(made.stored.file("moments.safetensors"))["variance"]
    np.testing.assert_allclose(variance, made.vectors.astype(float).var(axis=0), rtol=1e-12)


@every_position
@every_split
def test_document_codes_are_equal_for_rows_of_a_document(tmp_path: Path, shards: list[int], position: str | int):
    made = make_set(tmp_path, shards, position)
    codes = made.stored.document_codes()
    assert codes is not None
    names = np.repeat(made.ids, TOKENS if position == "all" else 1)
    assert (codes.dtype, len(codes)) == (np.int64, made.stored.n)
    np.testing.assert_array_equal(codes[:, None] == codes[None, :], names[:, None] == names[None, :])


@every_position
@every_split
def test_rows_tell_document_offset_token_and_text(tmp_path: Path, shards: list[int], position: str | int):
    made = make_set(tmp_path, shards, position)
    wanted = np.random.default_rng(1).permutation(made.stored.n).tolist()
    wanted += wanted[:2]
    kept = position if isinstance(position, int) else TOKENS - 1
    for row, found in zip(wanted, made.stored.rows(wanted, vectors=True), strict=True):
        chunk, within = divmod(row, TOKENS) if position == "all" else (row, kept)
        assert (found.row, found.document, found.offset) == (row, made.ids[chunk], made.offsets[chunk])
        assert (found.position, found.token_id) == (within, int(made.tokens[chunk, within]))
        assert found.text == made.texts[chunk]
        assert found.vector == made.vectors[row].tolist()


def test_vectors_are_left_out_unless_asked_for(tmp_path: Path):
    made = make_set(tmp_path, [3])
    assert made.stored.rows([]) == []
    assert [found.vector for found in made.stored.rows([0, 2])] == [None, None]


def test_only_the_shards_of_the_wanted_rows_are_read(tmp_path: Path):
    made = make_set(tmp_path, [3, 3, 1])
    (tmp_path / shard_name(1)).unlink()
    assert [found.row for found in made.stored.rows([2, 6], vectors=True)] == [2, 6]
    with pytest.raises(CorruptArtifact):
        made.stored.rows([3], vectors=True)


def test_imported_vectors_have_no_text(tmp_path: Path):
    save_tensors(tmp_path / shard_name(0), {"vectors": np.eye(3, dtype=np.float32)})
    finish_set(tmp_path, {"id": "act-1", "name": "mine"})
    stored = open_set(tmp_path)
    assert stored.document_codes() is None
    [found] = stored.rows([1], vectors=True)
    assert found.model_dump(exclude_none=True) == {"row": 1, "vector": [0.0, 1.0, 0.0]}


@pytest.mark.parametrize("row", [0, 2, 3, 5, 6])
def test_a_set_with_a_row_that_is_not_finite_is_not_finished(tmp_path: Path, row: int):
    rows = np.ones((7, 2), dtype=np.float32)
    rows[row, 1] = np.inf
    for index, part in enumerate(np.split(rows, [3, 6])):
        save_tensors(tmp_path / shard_name(index), {"vectors": part})
    with pytest.raises(NonFiniteData, match=f"row {row} is not finite"):
        finish_set(tmp_path, {"id": "act-1", "name": "mine"})
    assert not (tmp_path / "manifest.json").exists()


def test_finishing_twice_gives_the_same_bytes(tmp_path: Path):
    first = make_set(tmp_path / "one", [3, 2]).stored
    assert make_set(tmp_path / "two", [3, 2]).stored.sha256 == first.sha256
    finish_set(tmp_path / "one", {"id": "act-1", "name": "a set", "position": "last", "rows_per_chunk": 1})
    assert open_set(tmp_path / "one").sha256 == first.sha256
