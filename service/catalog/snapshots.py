"""One state of the whole database, ours and the job engine's tables, as files; and a database from such files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.catalog.engine import Catalog, database_errors
from service.catalog.migrate import upgrade
from service.errors import Conflict, InvalidInput

ENGINE_SCHEMA = "dbos"
SQLITE_FILE = "radius.db"
_BLOCK = 1 << 20
_MADE_BY_MIGRATIONS = ("radius_schema", "dbos_migrations")
# A table of PostgreSQL with its columns; generated ones are computed again.
Table = tuple[str, str, list[str]]
_COLUMNS = sa.text(
    "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = :name"
    " AND is_generated = 'NEVER' ORDER BY ordinal_position"
)
_SEQUENCES = sa.text(
    "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = :name"
    " AND (is_identity = 'YES' OR column_default LIKE 'nextval(%')"
)


@contextmanager
def one_state(catalog: Catalog) -> Iterator[sa.Connection]:
    """A connection whose every statement reads the state of one moment; others may write meanwhile."""
    level = "REPEATABLE READ" if catalog.engine.dialect.name == "postgresql" else "AUTOCOMMIT"
    with database_errors(), catalog.engine.connect().execution_options(isolation_level=level) as connection:
        if level == "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN")  # deferred: reads one state, and writers go on
        try:
            yield connection
        finally:
            if level == "AUTOCOMMIT":
                connection.exec_driver_sql("ROLLBACK")


def revision(connection: sa.Connection) -> str:
    """The revision of our tables."""
    return connection.execute(sa.text("SELECT version_num FROM radius_schema")).scalar_one()


def save_sqlite(connection: sa.Connection, target: Path) -> None:
    """Copy SQLite's database with its own backup interface, which includes what is in the journal."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with closing(sqlite3.connect(target)) as copy:
        driver.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a journal beside it


def save_postgresql(connection: sa.Connection, folder: Path) -> list[Table]:
    """Write each table to `SCHEMA.TABLE.copy`, in the text format of COPY; returns the tables in dependency order."""
    tables = _tables(connection)
    for schema, name, columns in tables:
        statement = f"COPY {_target(schema, name, columns)} TO STDOUT"
        path = folder / file_name(schema, name)
        with path.open("wb") as file, _cursor(connection) as cursor, cursor.copy(statement) as rows:
            for block in rows:
                file.write(block)
    return tables


def load_sqlite(source: Path, url: str) -> None:
    """Put the copy of a database where `url` has its file; raises `Conflict` where there is one."""
    database = sa.make_url(url).database
    if not database or Path(database).exists():
        raise Conflict("there is a database already; restore into an empty place")
    os.replace(source, database)


def load_postgresql(catalog: Catalog, folder: Path, tables: Sequence[Table]) -> None:
    """Fill the empty tables of a database with a copy, in one transaction."""
    with catalog.begin() as connection:
        for schema, name, columns in tables:
            statement = f"COPY {_target(schema, name, columns)} FROM STDIN"
            path = folder / file_name(schema, name)
            with path.open("rb") as file, _cursor(connection) as cursor, cursor.copy(statement) as rows:
                while block := file.read(_BLOCK):
                    rows.write(block)
            _continue_sequences(connection, schema, name)


def make_tables(catalog: Catalog, wanted: str) -> None:
    """Make our tables of a revision in an empty database.

    Raises:
        Conflict: it has tables already.
        InvalidInput: the revision is unknown to this version: a later version made the backup.
    """
    if sa.inspect(catalog.engine).has_table("jobs"):
        raise Conflict("the database has tables already; restore into an empty one")
    try:
        with catalog.begin() as connection:
            upgrade(connection, wanted)
    except Exception as error:
        if type(error).__name__ == "CommandError":  # Alembic's, which only migrations load
            raise InvalidInput("a later version of the service made the backup", field="dir") from error
        raise


def file_name(schema: str, name: str) -> str:
    """The file of a table's rows."""
    return f"{schema}.{name}.copy"


def _tables(connection: sa.Connection) -> list[Table]:
    inspector, found = sa.inspect(connection), []
    for schema in ("public", ENGINE_SCHEMA):
        for name, _ in inspector.get_sorted_table_and_fkc_names(schema=schema):
            if name is not None and name not in _MADE_BY_MIGRATIONS:
                where = {"schema": schema, "name": name}
                found.append((schema, name, list(connection.execute(_COLUMNS, where).scalars())))
    return found


def _continue_sequences(connection: sa.Connection, schema: str, name: str) -> None:
    for column in connection.execute(_SEQUENCES, {"schema": schema, "name": name}).scalars():
        quoted = f"{_quoted(schema)}.{_quoted(name)}"
        highest = connection.exec_driver_sql(f"SELECT max({_quoted(column)}) FROM {quoted}").scalar()  # noqa: S608
        if highest is not None:
            sequence = sa.func.pg_get_serial_sequence(quoted, column)
            connection.execute(sa.select(sa.func.setval(sequence, highest)))


def _target(schema: str, name: str, columns: list[str]) -> str:
    return f"{_quoted(schema)}.{_quoted(name)} ({', '.join(_quoted(column) for column in columns)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cursor(connection: sa.Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()
