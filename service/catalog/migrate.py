"""Bring the database to the newest schema: ours by Alembic, the job engine's by the engine."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from service.catalog import corpora, inputs
from service.catalog.engine import Catalog, Connection
from service.catalog.tables import metadata

_AT_ONCE = 1_000
_LOCK_KEY = 0x5261646975734442  # "RadiusDB"
SCRIPTS = str(Path(__file__).parent / "migrations")


def migrate(url: str) -> None:
    """Create or upgrade our tables and add the rows that this version expects; several processes may do so at once."""
    with closing(Catalog(url)) as catalog:
        with catalog.begin() as connection:
            _lock(connection)
            upgrade(connection)
        with catalog.begin() as connection:
            corpora.register_builtins(connection)
        recorded = 1
        while recorded:  # in transactions of moments: other processes may be writing already
            with catalog.begin() as connection:
                recorded = inputs.record_missing(connection, _AT_ONCE)


def _lock(connection: Connection) -> None:
    """Let one process migrate at a time until the transaction ends; on SQLite a transaction that writes does."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrade our tables from their revision to another."""
    from alembic import command  # here, so that a process which never migrates does not load it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS.replace("%", "%%"))  # % begins a reference to another option
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Whether Alembic may compare an object: any but the job engine's tables."""
    return kind != "table" or name in metadata.tables
