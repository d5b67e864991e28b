from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from service.artifacts import activation_set
from service.artifacts.atomic import atomic_path, publish_folder, sha256_file, write_bytes
from service.artifacts.staging import collect_staging, own_staging
from service.errors import StorageFull


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fail_with(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_file_appears_whole_with_its_folders(tmp_path: Path):
    target = tmp_path / "a" / "b" / "file.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_bytes() == b"whole"
    assert listing(tmp_path) == ["a", "a/b", "a/b/file.bin"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    write_bytes(tmp_path / "file", b"a long old content")
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert listing(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, error: type[BaseException]):
    write_bytes(tmp_path / "old", b"old")
    for name in ("old", "new"):
        with pytest.raises(error), atomic_path(tmp_path / name) as temporary:  # noqa: PT012
            temporary.write_bytes(b"half")
            raise error
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_failure_before_anything_was_written_is_the_failure_told(tmp_path: Path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file"):
        pass
    assert listing(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be_full_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    write_bytes(tmp_path / "old", b"old")
    fail_with(monkeypatch, number)
    for name in ("old", "new"):
        with pytest.raises(StorageFull):
            write_bytes(tmp_path / name, b"content")
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_another_error_of_the_disk_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fail_with(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output") as caught:
        write_bytes(tmp_path / "file", b"content")
    assert caught.value.errno == errno.EIO
    assert listing(tmp_path) == []


def test_a_disk_that_fills_up_while_tensors_are_written_is_said_to_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def write_bytes(_path: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(StorageFull):
        activation_set.save_tensors(tmp_path / "a.safetensors", {"a": np.zeros(3)})
    assert listing(tmp_path) == []


def test_two_writers_of_one_file_do_not_share_a_temporary(tmp_path: Path):
    with atomic_path(tmp_path / "file") as one, atomic_path(tmp_path / "file") as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert listing(tmp_path) == ["file"]


def staged(folder: Path, content: bytes) -> Path:
    write_bytes(folder / "manifest.json", content)
    return folder


def test_a_folder_is_published_under_its_name(tmp_path: Path):
    publish_folder(staged(tmp_path / ".staging" / "a", b"1"), tmp_path / "deep" / "a")
    assert listing(tmp_path) == [".staging", "deep", "deep/a", "deep/a/manifest.json"]


def test_publishing_again_keeps_the_first_and_drops_the_second(tmp_path: Path):
    for content in (b"1", b"2"):
        publish_folder(staged(tmp_path / "staged", content), tmp_path / "a")
    assert listing(tmp_path) == ["a", "a/manifest.json"]
    assert (tmp_path / "a" / "manifest.json").read_bytes() == b"1"


@pytest.mark.parametrize("others", [[], ["plan.1"]])
def test_an_owner_that_writes_after_the_publication_leaves_no_folder(tmp_path: Path, others: list[str]):
    with own_staging(tmp_path, "report.parts/search-0", 1) as folder:
        collect_staging(tmp_path, "report")
        for path in (folder, *(folder.with_name(name) for name in others)):
            write_bytes(path / "arrays", b"1")
    assert [path.name for path in tmp_path.rglob("*.1")] == others
    assert list(tmp_path.iterdir()) == [folder.parent] * len(others)


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_the_digest_is_that_of_the_bytes(tmp_path: Path, size: int):
    content = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content[:size]).hexdigest()
