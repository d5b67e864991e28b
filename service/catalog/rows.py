"""SQL that every noun uses: one row by id, one page by cursor, inserts that may be repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]
MOST_VARIABLES = 10_000  # of one statement; SQLite takes 32,766 in its default build, PostgreSQL 65,535


def _shown(table: sa.Table) -> sa.Select[Any]:
    """All of a table but the project, which conditions alone are about."""
    return sa.select(*(column for column in table.c if column.name != "project"))


def get_row(connection: sa.Connection, table: sa.Table, row_id: str) -> Row | None:
    """The row of that id, or None."""
    found = connection.execute(_shown(table).where(table.c.id == row_id)).mappings().first()
    return None if found is None else dict(found)


def page_rows(
    connection: sa.Connection, table: sa.Table, limit: int, after: str | None, **equal: str | None
) -> tuple[list[Row], str | None]:
    """Up to `limit` rows, newest first, that come after the cursor; and the cursor of the next page.

    Ids sort by time of creation, so the cursor is the id of the page's last row: rows that arrive meanwhile
    neither shift nor repeat anything.

    Args:
        equal: values that columns must have; None allows any.
    """
    query = _shown(table).order_by(table.c.id.desc()).limit(limit + 1)
    for column, value in equal.items():
        if value is not None:
            query = query.where(table.c[column] == value)
    if after is not None:
        query = query.where(table.c.id < after)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def insert_once(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert `row` unless one of its key exists, also one that another process inserts now; returns whether it did."""
    insert = _insert(connection, table).values(**row).on_conflict_do_nothing()
    return connection.execute(insert.returning(sa.literal(1))).first() is not None


def insert_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of `rows` whose keys do not exist."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def put(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], *, keep: str | None = None) -> None:
    """Insert `row`, or overwrite the columns of the row with its primary key, all but the column `keep`."""
    insert = _insert(connection, table).values(**row)
    keys = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in row if name not in keys and name != keep}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))


def chunks(values: Sequence[str], size: int = MOST_VARIABLES) -> Iterator[list[str]]:
    """`values` in lists short enough for one statement."""
    return (list(values[start : start + size]) for start in range(0, len(values), size))


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
