"""A file is hashed once for each state of it, and never believed to be what it was before."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from service.artifacts import file_digests
from service.artifacts.file_digests import FileDigests

CONTENT = b"x" * 3_000_000


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was hashed."""
    found, compute = Counter[str](), file_digests.sha256_file

    def count(path: Path) -> str:
        found[path.name] += 1
        return compute(path)

    monkeypatch.setattr(file_digests, "sha256_file", count)
    return found


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as old enough."""
    monkeypatch.setattr(file_digests, "MIN_AGE_S", float("-inf"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(CONTENT)
    return made


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_hashed_once(path: Path, hashed: Counter[str]):
    digests = FileDigests()
    assert {digests.sha256(path) for _ in range(100)} == {hashlib.sha256(CONTENT).hexdigest()}
    assert hashed == {"file": 1}


@pytest.mark.usefixtures("settled")
def test_threads_that_want_one_file_hash_it_once(path: Path, hashed: Counter[str]):
    digests, found = FileDigests(), []
    threads = [threading.Thread(target=lambda: found.append(digests.sha256(path))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [hashlib.sha256(CONTENT).hexdigest()] * 20
    assert hashed == {"file": 1}


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("how", ["in place", "in place with its times put back", "replaced", "replaced with its times"])
def test_a_changed_file_is_hashed_again(path: Path, how: str):
    digests = FileDigests()
    digests.sha256(path)
    before, other = path.stat(), b"y" + CONTENT[1:]
    if how.startswith("in place"):
        with path.open("r+b") as stream:
            stream.write(b"y")
    else:
        beside = path.with_name("beside")
        beside.write_bytes(other)
        beside.replace(path)
    if "times" in how:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.sha256(path) == hashlib.sha256(other).hexdigest()


def test_a_file_written_just_now_is_hashed_every_time(path: Path, hashed: Counter[str]):
    """A second change may come within the resolution of the clock, and leave the same times."""
    digests = FileDigests()
    for _ in range(3):
        digests.sha256(path)
    assert hashed == {"file": 3}


@pytest.mark.usefixtures("settled")
def test_the_digest_of_a_file_that_changes_while_it_is_hashed_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch):
    compute = file_digests.sha256_file

    def compute_then_change(path: Path) -> str:
        digest = compute(path)
        path.write_bytes(b"other")
        return digest

    digests = FileDigests()
    with monkeypatch.context() as patch:
        patch.setattr(file_digests, "sha256_file", compute_then_change)
        digests.sha256(path)
    assert digests.sha256(path) == hashlib.sha256(b"other").hexdigest()


@pytest.mark.usefixtures("settled")
def test_only_so_many_files_are_remembered(tmp_path: Path, hashed: Counter[str]):
    paths = [tmp_path / str(number) for number in range(4)]
    for path in paths:
        path.write_bytes(b"")
    digests = FileDigests(most=3)
    for path in (*paths, *reversed(paths)):
        digests.sha256(path)
    assert sum(hashed.values()) == 5


def test_a_missing_file_is_an_error_and_is_found_when_it_is_back(path: Path):
    digests = FileDigests()
    content = path.read_bytes()
    digests.sha256(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        digests.sha256(path)
    path.write_bytes(content)
    assert digests.sha256(path) == hashlib.sha256(content).hexdigest()
