"""`radius backup`: a consistent copy of a service that runs."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from service import __version__
from service.artifacts.atomic import sha256_file, sync_file
from service.artifacts.manifest import MANIFEST
from service.backup.copying import FileCopies, files_below
from service.backup.listing import DATABASE, FILES, CopiedFile, CopiedTable, Listing, write_listing
from service.catalog import products, snapshots
from service.catalog.engine import Catalog, Connection
from service.contracts.base import now
from service.errors import Conflict
from service.settings import Settings

# Of this host and this moment, or made again when they are needed; the database has a copy of its own.
_LEFT_OUT = frozenset({"run", "locks", "logs", "cache", "radius.db", "radius.db-wal", "radius.db-shm"})
_TRIES = 5


def make_backup(settings: Settings, target: Path) -> Listing:
    """Copy database and files of a service into the empty folder `target`, while it runs.

    Raises:
        Conflict: the folder is not empty, or files that the database names kept vanishing.
        StorageFull: no space left for the copy.
        Unavailable: the database cannot be read.
    """
    if target.exists() and any(target.iterdir()):
        raise Conflict("the folder of a backup must be empty")
    (target / DATABASE).mkdir(parents=True)
    copies = FileCopies(settings.data_dir, target / FILES)
    missing: list[str] = []
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        _copy_files(settings, copies)  # most of the bytes, before the state that must be complete
        for _ in range(_TRIES):
            with snapshots.one_state(catalog) as connection:
                named = products.recorded_files(connection)
                listing = _save_database(connection, target)
            _copy_files(settings, copies)
            missing = lacking(named, {name: file.sha256 for name, file in copies.copied.items()}, target / FILES)
            if not missing:
                listing = listing.model_copy(
                    update={
                        "files": sorted(copies.copied.values(), key=lambda file: file.path),
                        "notes": _notes(settings),
                    }
                )
                write_listing(target, listing)
                return listing
    detail = f"the database names {missing[0]} ({len(missing)} such files), which is gone: the service is damaged"
    raise Conflict(detail)


def _copy_files(settings: Settings, copies: FileCopies) -> None:
    """Copy what is new. Unpublished files come first: they move to the published ones, and never back."""
    copies.update(files_below(settings.data_dir, _LEFT_OUT, first=settings.staging_root))


def _save_database(connection: Connection, target: Path) -> Listing:
    folder, backend = target / DATABASE, connection.dialect.name
    for earlier in folder.iterdir():
        earlier.unlink()
    tables: list[snapshots.Table] = []
    if backend == "sqlite":
        snapshots.save_sqlite(connection, folder / snapshots.SQLITE_FILE)
    else:
        tables = snapshots.save_postgresql(connection, folder)
    return Listing(
        version=__version__,
        made_at=now(),
        backend="sqlite" if backend == "sqlite" else "postgresql",
        revision=snapshots.revision(connection),
        tables=[CopiedTable(schema_name=schema, name=name, columns=columns) for schema, name, columns in tables],
        database=[_described(path) for path in sorted(folder.iterdir())],
        files=[],
        notes=[],
    )


def _described(path: Path) -> CopiedFile:
    sync_file(path)
    return CopiedFile(path=path.name, bytes=path.stat().st_size, sha256=sha256_file(path))


def lacking(named: dict[str, str], present: dict[str, str], folder: Path) -> list[str]:
    """The named files, and the files that their manifests list, that are missing or have another SHA-256.

    Args:
        named: SHA-256 by path below the folder of products.
        present: SHA-256 by path below the data directory.
        folder: where the files of `present` are.
    """
    found = []
    for name, sha256 in named.items():
        path = f"artifacts/{name}"
        if present.get(path) != sha256:
            found.append(path)
        elif path.endswith(MANIFEST):
            parent = path.removesuffix(MANIFEST)
            entries = json.loads((folder / path).read_bytes())["files"]
            found += [
                parent + entry["name"] for entry in entries if present.get(parent + entry["name"]) != entry["sha256"]
            ]
    return found


def _notes(settings: Settings) -> list[str]:
    outside = {"models": settings.models_root, "corpora": settings.corpora_root}
    names = [name for name, folder in outside.items() if not folder.is_relative_to(settings.data_dir)]
    return [f"{name} are outside of the data directory and not in this backup" for name in names]
