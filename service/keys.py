"""API keys: a file with one JSON line per key, `{"name", "sha256", "created_at"}`. The key itself is shown once.

A key is 32 random bytes, so no search finds it from its plain SHA-256, and no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.artifacts.atomic import atomic_path
from service.contracts.base import now
from service.errors import Conflict, InvalidInput, NotFound

_PREFIX = "radius_"


@dataclass(frozen=True)
class StoredKey:
    """A key as it is stored."""

    name: str
    sha256: str
    created_at: str


def create_key(path: Path, name: str) -> str:
    """Make a key, add its hash to the file at `path` (made with mode 600), and return it.

    Raises:
        Conflict: there is a key of that name.
        InvalidInput: the file is not a file of keys.
    """
    if any(stored.name == name for stored in read_keys(path)):
        raise Conflict(f"there is a key called {name} already")
    key = _PREFIX + secrets.token_urlsafe(32)
    line = _line(StoredKey(name, _digest(key.encode()), now().isoformat()))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(line)
        file.flush()
        os.fsync(descriptor)
    return key


def remove_key(path: Path, name: str) -> None:
    """Remove the key of that name from the file; raises `NotFound` where there is none."""
    stored = read_keys(path)
    kept = [key for key in stored if key.name != name]
    if len(kept) == len(stored):
        raise NotFound("no key of that name")
    with atomic_path(path) as temporary:
        temporary.touch(0o600)
        temporary.write_text("".join(_line(key) for key in kept))


def read_keys(path: Path) -> list[StoredKey]:
    """The keys in the file at `path`; none when there is no file.

    Raises:
        InvalidInput: a line is not a key's; the message names the line.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(StoredKey(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"line {number} of the keys file is not a key", field="api_keys_file") from error
    return found


@dataclass
class ApiKeys:
    """The valid keys. The file is read again when it changes, so adding or removing a key takes effect at once."""

    path: Path | None
    _stamp: tuple[int, int] | None = None
    _keys: list[StoredKey] = field(default_factory=list)

    def owner(self, token: bytes) -> str | None:
        """Name of the key that equals `token`, compared in constant time; None where there is none."""
        digest = _digest(token).encode()
        found = None
        for stored in self._current():
            if hmac.compare_digest(stored.sha256.encode(), digest):
                found = stored.name
        return found

    def _current(self) -> list[StoredKey]:
        if self.path is None:
            return []
        try:
            state = self.path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if stamp != self._stamp:
                self._keys, self._stamp = read_keys(self.path), stamp
        except (OSError, InvalidInput):  # no key is valid while the file cannot be read
            self._keys, self._stamp = [], None
        return self._keys


def _line(stored: StoredKey) -> str:
    return json.dumps(asdict(stored)) + "\n"


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()
