from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from service.artifacts.activation_set import catalog_row
from service.artifacts.manifest import MANIFEST, canonical_json, read_manifest, verify_file, write_manifest
from service.errors import CorruptArtifact, NotFound
from tests.artifacts.sets import Made, make_set, open_set, read_everything


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make_set(tmp_path / "set", [3, 2], "all")


def test_equal_content_has_equal_bytes():
    assert canonical_json({"b": [1, "é"], "a": None}) == canonical_json({"a": None, "b": [1, "é"]})
    assert json.loads(canonical_json({"b": [1, "é"], "a": None})) == {"a": None, "b": [1, "é"]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_no_json(value: float):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": value})


def test_the_digest_of_a_manifest_is_told_and_checked(tmp_path: Path):
    sha256 = write_manifest(tmp_path, {"kind": "test", "files": []})
    assert read_manifest(tmp_path, sha256) == read_manifest(tmp_path)
    assert read_manifest(tmp_path)["format_version"] == 1
    with pytest.raises(CorruptArtifact):
        read_manifest(tmp_path, sha256[::-1])


def test_every_file_of_a_set_is_in_its_manifest(made: Made):
    listed = {entry["name"] for entry in made.stored.manifest["files"]}
    assert listed == {path.name for path in made.stored.folder.iterdir()} - {MANIFEST}
    assert len(listed) == 5


def test_the_catalog_row_names_the_digest_that_opens_the_set(made: Made):
    row = catalog_row(made.stored.folder)
    assert row["sha256"] == made.stored.sha256
    assert (row["id"], row["n"], row["d_model"], row["dtype"]) == ("act-1", 25, 4, "float32")


def test_any_flipped_bit_of_any_file_is_found(made: Made):
    chance, folder = random.Random(0), made.stored.folder
    for path in sorted(folder.iterdir()):
        sound = path.read_bytes()
        places = {0, len(sound) - 1} | {chance.randrange(len(sound)) for _ in range(60)}
        for place in sorted(places):
            flipped = bytearray(sound)
            flipped[place] ^= 1 << chance.randrange(8)
            path.write_bytes(bytes(flipped))
            with pytest.raises(CorruptArtifact):
                read_everything(type(made.stored)(folder, made.stored.sha256))
        path.write_bytes(sound)
    assert len(read_everything(open_set(folder))) == 5


@pytest.mark.parametrize("change", ["missing", "longer", "shorter", "empty", "a folder"])
def test_a_file_that_is_missing_or_of_another_size_is_found(made: Made, change: str):
    entries = made.stored.manifest["files"]
    for entry in [*entries, {"name": MANIFEST}]:
        path = made.stored.folder / entry["name"]
        sound = path.read_bytes()
        path.unlink()
        if change == "a folder":
            path.mkdir()
        elif change != "missing":
            path.write_bytes({"longer": sound + b"\x00", "shorter": sound[:-1], "empty": b""}[change])
        with pytest.raises(CorruptArtifact):
            read_everything(type(made.stored)(made.stored.folder, made.stored.sha256))
        if change == "a folder":
            path.rmdir()
        path.write_bytes(sound)


def test_files_that_changed_places_are_found(made: Made):
    one, other = (made.stored.folder / f"shard-0000{index}.safetensors" for index in (0, 1))
    shutil.copy(other, one)
    with pytest.raises(CorruptArtifact):
        made.stored.vectors()


def test_a_sound_file_is_verified(made: Made):
    for entry in made.stored.manifest["files"]:
        assert verify_file(made.stored.folder, entry) == made.stored.file(entry["name"])


@pytest.mark.parametrize("name", ["nothing", "../set/shard-00000.safetensors", ""])
def test_only_listed_files_are_given_out(made: Made, name: str):
    with pytest.raises(NotFound):
        made.stored.file(name)


@pytest.mark.parametrize("body", [b"", b'{"files": [', b"\xff\xfe", b"[" * 50_000])
def test_a_manifest_that_cannot_be_read_is_corrupt(tmp_path: Path, body: bytes):
    (tmp_path / MANIFEST).write_bytes(body)
    with pytest.raises(CorruptArtifact):
        read_manifest(tmp_path)
