"""The quota of a project for stored bytes: the files of its products and uploads."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from service.catalog import corpora, products
from service.errors import QuotaFull
from service.settings import Settings
from service.sizes import shown_apart


class StorageQuota:
    """Adds up the files of a project, and remembers the sizes of published folders, which do not change."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sizes: dict[str, int] = {}

    def check(self, connection: sa.Connection, more: int) -> None:
        """Raise `QuotaFull`, with the numbers, where the project's files and `more` bytes exceed its limit."""
        most = self._settings.project_stored_bytes
        if most and (total := self._stored(connection) + more) > most:
            wanted, there = shown_apart(total, most)
            detail = f"the project would store {wanted}; it may store {there} (project_stored_bytes)"
            raise QuotaFull(f"{detail}: delete jobs or corpora that are no longer needed")

    def _stored(self, connection: sa.Connection) -> int:
        known, ids = self._sizes, products.ids(connection)
        sizes = {name: known[name] if name in known else self._size_of(name) for name in ids}
        self._sizes = {name: size for name, size in sizes.items() if not products.grows(name)}
        uploads = (self._settings.uploads_root / name for name in corpora.uploads(connection))
        return sum(sizes.values()) + sum(_file_bytes(path) for path in uploads)

    def _size_of(self, product: str) -> int:
        return sum(_file_bytes(path) for path in (self._settings.artifacts_root / product).rglob("*"))


def _file_bytes(path: Path) -> int:
    with suppress(OSError):  # deleted meanwhile
        return path.stat().st_size if path.is_file() else 0
    return 0
