"""Rows of reproductions: their newest published view."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, page_rows, put
from service.catalog.tables import reproductions
from service.contracts.reproduction import ReproductionSummary
from service.errors import NotFound
from service.links import link

_HIDDEN = {"view_step", "view_sha256"}


def publish(connection: sa.Connection, row: Row) -> None:
    """Make a view of a report visible, in place of the one before."""
    put(connection, reproductions, with_owner(row), keep="created_at")


def get(connection: sa.Connection, reproduction_id: str) -> ReproductionSummary:
    """The reproduction of that id; raises `NotFound`."""
    return _summary(_row(connection, reproduction_id))


def view(connection: sa.Connection, reproduction_id: str) -> tuple[int, str]:
    """Step and manifest hash of the newest view; raises `NotFound`."""
    row = _row(connection, reproduction_id)
    return row["view_step"], row["view_sha256"]


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[ReproductionSummary], str | None]:
    """One page of reproductions, newest first."""
    rows, following = page_rows(connection, reproductions, limit, after)
    return [_summary(row) for row in rows], following


def _row(connection: sa.Connection, reproduction_id: str) -> Row:
    row = get_row(connection, reproductions, reproduction_id)
    if row is None:
        raise NotFound("no such reproduction")
    return row


def _summary(row: Row) -> ReproductionSummary:
    shown = {name: value for name, value in row.items() if name not in _HIDDEN}
    return ReproductionSummary(**shown, href=link(f"/v1/reproductions/{row['id']}"))
