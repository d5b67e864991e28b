"""GET …/files/{name}: whole, by Range, by name only; what was changed on the disk is never served."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load
from starlette.testclient import TestClient

from service.artifacts import file_digests
from service.settings import Settings
from tests.api.products import Published
from tests.api.support import import_array, problem_of

VECTORS = np.arange(60, dtype=np.float32).reshape(20, 3)
SHARD = "shard-00000.safetensors"


def test_every_file_of_the_manifest_has_its_size_and_sha256(reading: TestClient, published: Published):
    manifest = reading.get(f"/v1/activations/{published.activations}").json()["manifest"]
    assert len(manifest["files"]) == 5
    for entry in manifest["files"]:
        response = reading.get(f"/v1/activations/{published.activations}/files/{entry['name']}")
        assert response.status_code == 200
        assert len(response.content) == entry["bytes"] == int(response.headers["content-length"])
        assert hashlib.sha256(response.content).hexdigest() == entry["sha256"]


def test_the_shards_are_the_vectors(reading: TestClient, published: Published):
    place = f"/v1/activations/{published.activations}/files"
    parts = [load(reading.get(f"{place}/shard-0000{index}.safetensors").content)["vectors"] for index in (0, 1)]
    assert np.array_equal(np.concatenate(parts), published.vectors)


def test_the_manifest_is_a_file_too(reading: TestClient, published: Published):
    shown = reading.get(f"/v1/activations/{published.activations}").json()
    content = reading.get(f"/v1/activations/{published.activations}/files/manifest.json").content
    assert json.loads(content) == shown["manifest"]
    assert hashlib.sha256(content).hexdigest() == shown["sha256"]


def test_a_file_is_a_download_that_no_browser_opens(reading: TestClient, published: Published):
    headers = reading.get(f"/v1/activations/{published.activations}/files/{SHARD}").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == f'attachment; filename="{SHARD}"'
    assert headers["accept-ranges"] == "bytes"


RANGES = {
    "the first ten": ("bytes=0-9", 0, 10),
    "the middle": ("bytes=10-19", 10, 20),
    "one byte": ("bytes=5-5", 5, 6),
    "to the end": ("bytes=100-", 100, None),
    "the last five": ("bytes=-5", -5, None),
    "beyond the end": (f"bytes=30-{10**30}", 30, None),
}


@pytest.mark.parametrize(("asked", "start", "stop"), RANGES.values(), ids=RANGES)
def test_a_range_is_answered_with_that_part(
    reading: TestClient, published: Published, asked: str, start: int, stop: int | None
):
    place = f"/v1/activations/{published.activations}/files/{SHARD}"
    whole = reading.get(place).content
    response = reading.get(place, headers={"range": asked})
    assert response.status_code == 206
    assert response.content == whole[start:stop]
    positions = range(len(whole))[start:stop]
    assert response.headers["content-range"] == f"bytes {positions[0]}-{positions[-1]}/{len(whole)}"


def test_a_download_can_be_resumed(reading: TestClient, published: Published):
    place = f"/v1/activations/{published.activations}/files/{SHARD}"
    whole = reading.get(place)
    rest = reading.get(place, headers={"range": "bytes=50-", "if-range": whole.headers["etag"]})
    assert (rest.status_code, whole.content[:50] + rest.content) == (206, whole.content)
    other = reading.get(place, headers={"range": "bytes=50-", "if-range": '"another"'})
    assert (other.status_code, other.content) == (200, whole.content)


@pytest.mark.parametrize("asked", ["bytes=99999-", "bytes=5-1", "bytes=abc", "bytes=", "items=0-1", "bytes=--5"])
def test_a_range_that_cannot_be_served_is_a_problem(reading: TestClient, published: Published, asked: str):
    """RFC 9110, 14.2, also allows to ignore the field and to send the whole file."""
    place = f"/v1/activations/{published.activations}/files/{SHARD}"
    response = reading.get(place, headers={"range": asked})
    if response.status_code != 200:
        problem_of(response, range(400, 417))


def test_an_unknown_file_is_not_found(reading: TestClient, published: Published):
    problem_of(reading.get(f"/v1/activations/{published.activations}/files/shard-00002.safetensors"), 404, "not_found")


@pytest.fixture
def folder(api: TestClient, settings: Settings) -> Path:
    """The folder of an imported set, to be damaged."""
    return settings.artifacts_root / import_array(api, VECTORS)


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit": flip_last_byte,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "lost": Path.unlink,
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"x"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_not_served(api: TestClient, folder: Path, damage: Callable[[Path], object]):
    damage(folder / SHARD)
    place = f"/v1/activations/{folder.name}"
    for path in (f"{place}/files/{SHARD}", f"{place}/rows?vectors=true"):
        problem_of(api.get(path), 500, "corrupt_artifact")
    problem_of(api.get(f"{place}/files/{SHARD}", headers={"range": "bytes=0-9"}), 500, "corrupt_artifact")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_nothing_is_served_by_a_damaged_manifest(api: TestClient, folder: Path, damage: Callable[[Path], object]):
    damage(folder / "manifest.json")
    for part in ("", "/rows", f"/files/{SHARD}"):
        problem_of(api.get(f"/v1/activations/{folder.name}{part}"), 500, "corrupt_artifact")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_manifest_is_not_served(api: TestClient, folder: Path, damage: Callable[[Path], object]):
    damage(folder / "manifest.json")
    problem_of(api.get(f"/v1/activations/{folder.name}/files/manifest.json"), 500, "corrupt_artifact")


def test_a_damaged_set_does_not_hide_the_others(api: TestClient, folder: Path):
    flip_last_byte(folder / SHARD)
    sound = import_array(api, VECTORS)
    assert [row["id"] for row in api.get("/v1/activations").json()["data"]] == [sound, folder.name]
    assert api.get(f"/v1/activations/{sound}/files/{SHARD}").status_code == 200


def test_many_ranges_of_a_file_hash_it_once(api: TestClient, monkeypatch: pytest.MonkeyPatch):
    compute, hashed = file_digests.sha256_file, []
    monkeypatch.setattr(file_digests, "MIN_AGE_S", float("-inf"))
    monkeypatch.setattr(file_digests, "sha256_file", lambda path: hashed.append(path.name) or compute(path))
    path = f"/v1/activations/{import_array(api, np.zeros((400_000, 8), np.float32))}/files/{SHARD}"
    for start in range(0, 1_000_000, 50_000):
        part = api.get(path, headers={"Range": f"bytes={start}-{start + 9}"})
        assert (part.status_code, len(part.content)) == (206, 10)
    assert hashed == [SHARD]
