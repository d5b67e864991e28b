"""Rows of published energy reports."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog import inputs
from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, page_rows, put
from service.catalog.tables import energy_reports
from service.contracts.energy_report import EnergySummary
from service.errors import NotFound
from service.links import link


def publish(connection: sa.Connection, row: Row) -> None:
    """Make a written report visible; repeating it changes nothing, and one that was made again is described again."""
    put(connection, energy_reports, with_owner(row))
    sets = [*row["activations"], row["queries"]] if row["queries"] else row["activations"]
    inputs.record(connection, row["job"], sets)


def get(connection: sa.Connection, report_id: str) -> tuple[EnergySummary, str]:
    """The report of that id and the SHA-256 of its manifest; raises `NotFound`."""
    row = get_row(connection, energy_reports, report_id)
    if row is None:
        raise NotFound("no such energy report")
    return _summary(row), row["sha256"]


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[EnergySummary], str | None]:
    """One page of reports, newest first."""
    rows, following = page_rows(connection, energy_reports, limit, after)
    return [_summary(row) for row in rows], following


def _summary(row: Row) -> EnergySummary:
    return EnergySummary(
        **{key: value for key, value in row.items() if key != "sha256"}, href=link(f"/v1/energy/{row['id']}")
    )
