"""What every noun's SQL shares: one row by id, one page by cursor, an insert that a replay may repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

Row = dict[str, Any]


def get_row(connection: sa.Connection, table: sa.Table, row_id: str) -> Row | None:
    """The row of that id, or None."""
    found = connection.execute(sa.select(table).where(table.c.id == row_id)).mappings().first()
    return None if found is None else dict(found)


def page_rows(
    connection: sa.Connection, table: sa.Table, limit: int, after: str | None, *conditions: sa.ColumnElement[bool]
) -> tuple[list[Row], str | None]:
    """Up to `limit` rows, newest first, that come after the cursor; and the cursor of the next page.

    Ids sort by time of creation, so the cursor is the id of the page's last row: rows that arrive meanwhile
    neither shift nor repeat anything.
    """
    query = sa.select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(table.c.id < after)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def insert_once(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert `row` unless one of its id is there: a step that is repeated publishes once."""
    if get_row(connection, table, row["id"]) is None:
        connection.execute(table.insert().values(**row))
