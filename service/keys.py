"""API keys: a file with one JSON line per key, `{"name", "sha256", "created_at", "project", "scope", "expires"}`.

The key itself is shown once. It is 32 random bytes, so no search finds it from its plain SHA-256, and no slow hash is
needed. Lines of the first version end at `created_at`: such keys are of the project `default` and have scope `admin`.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from service.artifacts.atomic import atomic_path
from service.contracts.base import now
from service.errors import Conflict, InvalidInput, NotFound
from service.key_uses import KeyUses
from service.permissions import others_may_write
from service.principal import DEFAULT_PROJECT, SCOPES, Principal, Scope

_PREFIX = "radius_"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PERIOD = re.compile(r"([1-9][0-9]{0,4})([dh])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredKey:
    """A key as it is stored; `expires` is a moment in ISO form, None for never."""

    name: str
    sha256: str
    created_at: str
    project: str = DEFAULT_PROJECT
    scope: Scope = "admin"
    expires: str | None = None

    def __post_init__(self) -> None:
        texts = (self.name, self.sha256, self.created_at)
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError("name, sha256 and created_at are texts")
        if self.scope not in SCOPES or not _PROJECT.fullmatch(self.project):
            raise ValueError("not a scope, or not the name of a project")
        if self.expires is not None and datetime.fromisoformat(self.expires).tzinfo is None:
            raise ValueError("the moment has no zone")

    @property
    def is_expired(self) -> bool:
        return self.expires is not None and now() >= datetime.fromisoformat(self.expires)

    @property
    def principal(self) -> Principal:
        return Principal(self.name, self.project, self.scope)


def create_key(
    path: Path, name: str, project: str = DEFAULT_PROJECT, scope: str = "admin", expires: str | None = None
) -> str:
    """Make a key, add its hash to the file at `path` (made with mode 600), and return it.

    Args:
        expires: a period from now, such as `90d` or `12h`; None is never.

    Raises:
        Conflict: there is a key of that name.
        InvalidInput: the file is not a file of keys; the project, the scope or the period is wrong.
    """
    key = _PREFIX + secrets.token_urlsafe(32)
    moment = None if expires is None else _moment_after(expires)
    stored = _checked(name, _digest(key.encode()), project, scope, moment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path):
        if any(other.name == name for other in read_keys(path)):
            raise Conflict(f"there is a key called {name} already")
        _append(path, stored)
    return key


def remove_key(path: Path, name: str) -> StoredKey:
    """Remove the key of that name from the file and return it; raises `NotFound` where there is none."""
    if not path.exists():
        raise NotFound("no key of that name")
    with _alone(path):
        stored = read_keys(path)
        removed = next((key for key in stored if key.name == name), None)
        if removed is None:
            raise NotFound("no key of that name")
        with atomic_path(path) as temporary:
            temporary.touch(0o600)
            temporary.write_text("".join(_line(key) for key in stored if key.name != name))
    return removed


def read_keys(path: Path) -> list[StoredKey]:
    """The keys in the file at `path`; none when there is no file.

    Raises:
        InvalidInput: a line is not a key's; the message names the line.
    """
    if not path.exists():
        return []
    found: list[StoredKey] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(StoredKey(**json.loads(line.decode("utf-8"))))
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidInput(f"line {number} of the keys file is not a key", field="api_keys_file") from error
    return found


@dataclass
class ApiKeys:
    """The valid keys. The file is read again when it changes, so adding or removing a key takes effect at once.

    Args:
        uses: where the last use of each key is noted.
    """

    path: Path | None
    uses: KeyUses
    _stamp: tuple[int, ...] | None = None
    _keys: list[StoredKey] = field(default_factory=list)

    def principal(self, token: bytes) -> Principal | None:
        """The owner of the key that equals `token`, compared in constant time; None where none is valid."""
        digest = _digest(token).encode()
        found = None
        for stored in self._current():
            if hmac.compare_digest(stored.sha256.encode(), digest):
                found = stored
        if found is None or found.is_expired:
            return None
        self.uses.note(found.sha256)
        return found.principal

    def _current(self) -> list[StoredKey]:
        if self.path is None:
            return []
        try:
            state = self.path.stat()
            stamp = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = _trusted(self.path), stamp
        except OSError:  # no key is valid while the file cannot be read
            self._keys, self._stamp = [], None
        return self._keys


def _trusted(path: Path) -> list[StoredKey]:
    """The keys of a file that nobody else may write and that is whole; otherwise none, which the log explains."""
    if others_may_write(path):
        logger.error("other users may write the keys file, so no key is valid: chmod 600 repairs it")
        return []
    try:
        return read_keys(path)
    except InvalidInput as error:
        logger.error("no key is valid: %s", error.detail)
        return []


def _checked(name: str, sha256: str, project: str, scope: str, expires: str | None) -> StoredKey:
    if not _PROJECT.fullmatch(project):
        detail = "a project's name has at most 64 small letters, digits, '.', '_' and '-', a letter or digit first"
        raise InvalidInput(detail, field="project")
    if scope not in SCOPES:
        raise InvalidInput(f"a scope is one of {', '.join(SCOPES)}", field="scope")
    if not name.strip() or len(name) > 128 or not name.isprintable():
        raise InvalidInput("a name has 1 to 128 printable characters", field="name")
    return StoredKey(name, sha256, now().isoformat(), project, cast(Scope, scope), expires)


def _moment_after(period: str) -> str:
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise InvalidInput("a period is a number of days or hours, such as 90d or 12h", field="expires")
    return (now() + int(match[1]) * _UNITS[match[2]]).isoformat()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time changes the file: its folder is locked, as a removal replaces the file."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _append(path: Path, stored: StoredKey) -> None:
    """Add a line to the file, which keeps its owner and its mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        unended = file.seek(0, os.SEEK_END) and os.pread(descriptor, 1, file.tell() - 1) != b"\n"
        file.write((b"\n" if unended else b"") + _line(stored).encode())
        file.flush()
        os.fsync(descriptor)


def _line(stored: StoredKey) -> str:
    return json.dumps(asdict(stored)) + "\n"


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
