"""Bring the database to the newest schema: ours by Alembic, the job engine's by the engine."""

from __future__ import annotations

from pathlib import Path

from service.catalog import corpora
from service.catalog.engine import Catalog


def migrate(url: str) -> None:
    """Create or upgrade our tables and register the built-in corpora. Safe to repeat."""
    from alembic import command  # here, so that a process which never migrates does not load it
    from alembic.config import Config

    catalog = Catalog(url)
    try:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with catalog.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        with catalog.begin() as connection:
            corpora.register_builtins(connection)
    finally:
        catalog.close()
