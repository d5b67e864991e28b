"""Bring the database to the newest schema: ours by Alembic, the job engine's by the engine."""

from __future__ import annotations

from pathlib import Path

from service.catalog import corpora
from service.catalog.engine import Catalog, Connection
from service.catalog.tables import metadata

SCRIPTS = str(Path(__file__).parent / "migrations")


def migrate(url: str) -> None:
    """Create or upgrade our tables and register the built-in corpora. Safe to repeat."""
    catalog = Catalog(url)
    try:
        with catalog.begin() as connection:
            upgrade(connection)
        with catalog.begin() as connection:
            corpora.register_builtins(connection)
    finally:
        catalog.close()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring our tables from wherever they are to a revision."""
    from alembic import command  # here, so that a process which never migrates does not load it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Whether Alembic may look at it: never at the job engine's tables."""
    return kind != "table" or name in metadata.tables
