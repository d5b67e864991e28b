"""Rows of published radius reports."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, page_rows, put
from service.catalog.tables import radius_reports
from service.contracts.radius import RadiusSummary
from service.errors import NotFound
from service.links import link


def publish(connection: sa.Connection, row: Row) -> None:
    """Make a written report visible; repeating it changes nothing, and one that was made again is described again."""
    put(connection, radius_reports, with_owner(row))


def get(connection: sa.Connection, report_id: str) -> tuple[RadiusSummary, str]:
    """The report of that id and the SHA-256 of its manifest; raises `NotFound`."""
    row = get_row(connection, radius_reports, report_id)
    if row is None:
        raise NotFound("no such radius report")
    return _summary(row), row["sha256"]


def page(
    connection: sa.Connection, limit: int, after: str | None, *, activations: str | None = None
) -> tuple[list[RadiusSummary], str | None]:
    """One page of reports, newest first, of one activation set where given."""
    rows, following = page_rows(connection, radius_reports, limit, after, activations=activations)
    return [_summary(row) for row in rows], following


def _summary(row: Row) -> RadiusSummary:
    return RadiusSummary(
        **{key: value for key, value in row.items() if key != "sha256"}, href=link(f"/v1/radius/{row['id']}")
    )
