"""The file of keys: what its lines may be, who may read and write it, when its keys end and were last used."""

# No database: keys are in a file.

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.binding import bind
from service.commands.doctor import examine_access
from service.errors import Conflict, InvalidInput
from service.key_uses import KeyUses
from service.keys import ApiKeys, create_key, read_keys, remove_key
from service.permissions import access_warnings
from service.principal import Principal
from service.settings import Settings

LINE = {"name": "lab", "sha256": "0" * 64, "created_at": "2026-01-02T00:00:00+00:00"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "api-keys"


def keys_of(file: Path) -> ApiKeys:
    return ApiKeys(file, KeyUses(file.parent / "uses"))


def test_a_key_of_the_first_version_is_the_default_project_s_administrator(file: Path):
    key = create_key(file, "lab")
    line = {name: value for name, value in json.loads(file.read_text()).items() if name in LINE}
    file.write_text(json.dumps(line))  # without an end of line, as an editor may leave it
    assert keys_of(file).principal(key.encode()) == Principal("lab", "default", "admin")
    second = create_key(file, "second", "other", "read")
    assert keys_of(file).principal(second.encode()) == Principal("second", "other", "read")
    assert keys_of(file).principal(key.encode()) is not None


WRONG: dict[str, Any] = {
    "not JSON": "{",
    "a list": "[]",
    "a number": "7",
    "not UTF-8": b"\xff\xfe",
    "UTF-16": json.dumps(LINE).encode("utf-16"),
    "NUL": b"\x00",
    "nested": "[" * 100_000,
    "no hash": {name: LINE[name] for name in ("name", "created_at")},
    "more": LINE | {"key": "plain"},
    "name": LINE | {"name": 7},
    "empty name": LINE | {"name": ""},
    "scope": LINE | {"scope": "root"},
    "scopes": LINE | {"scope": ["read"]},
    "no project": LINE | {"project": ""},
    "project": LINE | {"project": "Ours"},
    "path": LINE | {"project": "../x"},
    "number": LINE | {"project": 7},
    "end": LINE | {"expires": "tomorrow"},
    "no zone": LINE | {"expires": "2030-01-01T00:00:00"},
    "number as end": LINE | {"expires": 7},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_file_with_a_wrong_line_lets_nobody_in_and_names_the_line(file: Path, wrong: Any):
    key = create_key(file, "lab")
    line = wrong if isinstance(wrong, bytes) else (wrong if isinstance(wrong, str) else json.dumps(wrong)).encode()
    file.write_bytes(file.read_bytes() + line + b"\n")
    with pytest.raises(InvalidInput, match="line 2"):
        read_keys(file)
    assert keys_of(file).principal(key.encode()) is None
    with pytest.raises(InvalidInput):
        create_key(file, "next")


@pytest.mark.parametrize(
    ("project", "scope", "expires", "field"),
    [
        ("", "write", None, "project"),
        ("a b", "write", None, "project"),
        ("x" * 65, "write", None, "project"),
        ("ours", "root", None, "scope"),
        ("ours", "write", "90", "expires"),
        ("ours", "write", "0d", "expires"),
        ("ours", "write", "-1d", "expires"),
        ("ours", "write", "9999999d", "expires"),
    ],
)
def test_a_wrong_key_is_not_made(file: Path, project: str, scope: str, expires: str | None, field: str):
    with pytest.raises(InvalidInput) as caught:
        create_key(file, "lab", project, scope, expires)
    assert caught.value.field == field
    assert not file.exists()


def test_a_key_ends(file: Path, monkeypatch: pytest.MonkeyPatch):
    key = create_key(file, "lab", "ours", "write", "2h")
    keys = keys_of(file)
    assert keys.principal(key.encode()) == Principal("lab", "ours", "write")
    monkeypatch.setattr("service.keys.now", lambda: datetime.now(UTC) + timedelta(hours=1.9))
    assert keys.principal(key.encode()) is not None
    monkeypatch.setattr("service.keys.now", lambda: datetime.now(UTC) + timedelta(hours=2.1))
    assert keys.principal(key.encode()) is None


def test_the_last_use_is_noted_once_a_minute(file: Path):
    key, other = create_key(file, "lab"), create_key(file, "other")
    lab, unused = (stored.sha256 for stored in read_keys(file))
    keys = keys_of(file)
    assert keys.uses.last(lab) is None
    keys.principal(key.encode())
    first = keys.uses.last(lab)
    assert first is not None
    assert abs((datetime.now(UTC) - first).total_seconds()) < 60
    noted = next((file.parent / "uses").iterdir())
    os.utime(noted, (0, 0))
    keys.principal(key.encode())
    assert noted.stat().st_mtime == 0  # no second write
    assert keys.uses.last(unused) is None
    keys.uses.remove(lab)
    assert keys.uses.last(lab) is None
    assert keys_of(file).principal(other.encode()) is not None


def test_a_use_that_cannot_be_noted_refuses_nobody(file: Path):
    key = create_key(file, "lab")
    (file.parent / "uses").write_text("a file where the folder should be")
    assert keys_of(file).principal(key.encode()) is not None


@pytest.mark.parametrize(
    ("mode", "warned", "refused"), [(0o600, 0, 0), (0o444, 1, 0), (0o640, 1, 0), (0o660, 1, 1), (0o602, 0, 1)]
)
def test_a_file_that_others_may_write_is_refused_and_one_that_they_may_read_is_warned_of(
    file: Path, tmp_path: Path, mode: int, warned: int, refused: int
):
    key = create_key(file, "lab")
    file.chmod(mode)
    settings = Settings(port=0, api_keys_file=file, data_dir=tmp_path / "data")
    assert (keys_of(file).principal(key.encode()) is None) == bool(refused)
    assert len(access_warnings(settings)) == warned
    assert examine_access(settings).ok is not bool(refused)
    assert ("keys file" in examine_access(settings).found) == bool(warned or refused)
    if refused:
        with pytest.raises(InvalidInput, match="chmod 600"):
            bind(settings)
    else:
        bind(settings).close()


def test_a_service_without_keys_says_who_can_reach_it(tmp_path: Path):
    (warning,) = access_warnings(Settings(data_dir=tmp_path))
    assert "every user of this machine" in warning


def test_changes_at_the_same_moment_lose_no_key(file: Path):
    create_key(file, "first")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: create_key(file, f"key {number}"), range(24)))
        list(pool.map(lambda number: remove_key(file, f"key {number}"), range(12)))
    assert {stored.name for stored in read_keys(file)} == {"first", *(f"key {number}" for number in range(12, 24))}
    assert keys_of(file).principal(made[20].encode()) is not None
    with pytest.raises(Conflict):
        create_key(file, "key 20")


def test_the_command_prints_the_key_alone_and_keeps_files_private(tmp_path: Path):
    environment = os.environ | {"RADIUS_API_KEYS_FILE": str(tmp_path / "a" / "b" / "keys")}
    environment |= {"RADIUS_DATA_DIR": str(tmp_path / "data")}

    def radius(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service.cli", "keys", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, umask=0)

    made = radius("create", "--name", "lab", "--project", "ours", "--expires", "90d")
    file = tmp_path / "a" / "b" / "keys"
    assert made.stdout.startswith("radius_")
    assert len(made.stdout.split()) == 1
    assert keys_of(file).principal(made.stdout.strip().encode()) == Principal("lab", "ours", "write")
    assert made.stdout.strip() not in made.stderr
    assert "project ours, scope write" in made.stderr
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file.parents[1], file.parent, file)]
    assert modes == [0o700, 0o700, 0o600]
    listed = radius("list").stdout
    assert "lab: project ours, scope write" in listed.replace("\n", " ")
    assert "last used never" in listed.replace("\n", " ")
    radius("revoke", "lab")
    assert read_keys(file) == []
