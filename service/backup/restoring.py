"""`radius restore`: a service from a backup, checked."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from service.backup.copying import copy_file
from service.backup.listing import DATABASE, FILES, Listing, read_listing
from service.backup.making import lacking
from service.catalog import jobs, products, snapshots
from service.catalog.engine import Catalog
from service.catalog.migrate import migrate
from service.errors import Conflict, CorruptArtifact, InvalidInput
from service.jobs.engine import migrate_engine
from service.settings import Settings


@dataclass(frozen=True)
class Restored:
    """The outcome of a restore: files with their bytes, products whose files were checked, jobs that continue."""

    files: int
    bytes: int
    products: int
    open_jobs: int
    notes: list[str]


def restore_backup(settings: Settings, source: Path) -> Restored:
    """Restore into an empty data directory and an empty database, then check every file that the database names.

    Jobs that ran when the backup was made continue when workers are started.

    Raises:
        InvalidInput: no backup, or one made on the other kind of database or by a later version.
        Conflict: the data directory or the database is not empty.
        CorruptArtifact: a file does not have its SHA-256, or one that the database names is missing.
    """
    listing, url = read_listing(source), settings.resolved_database_url
    with closing(Catalog(url)) as catalog:
        if catalog.engine.dialect.name != listing.backend:
            raise InvalidInput(f"the backup is of {listing.backend}: set RADIUS_DATABASE_URL to one", field="dir")
        _check_empty(settings.data_dir)
        if listing.backend == "postgresql":
            snapshots.make_tables(catalog, listing.revision)
        settings.make_folders()
        for file in listing.files:
            copy_file(source / FILES / file.path, settings.data_dir / file.path, file.path, file.sha256)
        _load_database(settings, catalog, listing, source)
    migrate(url)
    migrate_engine(url)
    return _checked(settings, listing)


def _check_empty(folder: Path) -> None:
    if any(path.is_file() for path in folder.rglob("*")):
        raise Conflict("the data directory has files; restore into an empty one")


def _load_database(settings: Settings, catalog: Catalog, listing: Listing, source: Path) -> None:
    aside = settings.data_dir / ".restoring"
    for file in listing.database:
        copy_file(source / DATABASE / file.path, aside / file.path, file.path, file.sha256)
    if listing.backend == "sqlite":
        snapshots.load_sqlite(aside / snapshots.SQLITE_FILE, settings.resolved_database_url)
    else:
        migrate_engine(settings.resolved_database_url)
        tables = [(table.schema_name, table.name, table.columns) for table in listing.tables]
        snapshots.load_postgresql(catalog, aside, tables)
        for file in listing.database:
            (aside / file.path).unlink()
    aside.rmdir()


def _checked(settings: Settings, listing: Listing) -> Restored:
    with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.read() as connection:
        named, open_jobs = products.recorded_files(connection), jobs.count_open(connection)
    present = {file.path: file.sha256 for file in listing.files}
    if missing := lacking(named, present, settings.data_dir):
        raise CorruptArtifact(f"the database names {missing[0]}, which the backup lacks ({len(missing)} such files)")
    total = sum(file.bytes for file in listing.files)
    return Restored(len(listing.files), total, len(named), open_jobs, listing.notes)
