"""Rows of published profiles."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, page_rows, put
from service.catalog.tables import profiles
from service.contracts.profile import ProfileSummary
from service.errors import NotFound
from service.links import link


def publish(connection: sa.Connection, row: Row) -> None:
    """Make a written profile visible; repeating it changes nothing, and one that was made again is described again."""
    put(connection, profiles, with_owner(row))


def get(connection: sa.Connection, profile_id: str) -> tuple[ProfileSummary, str]:
    """The profile of that id and the SHA-256 of its manifest; raises `NotFound`."""
    row = get_row(connection, profiles, profile_id)
    if row is None:
        raise NotFound("no such profile")
    return _summary(row), row["sha256"]


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[ProfileSummary], str | None]:
    """One page of profiles, newest first."""
    rows, following = page_rows(connection, profiles, limit, after)
    return [_summary(row) for row in rows], following


def _summary(row: Row) -> ProfileSummary:
    return ProfileSummary(
        **{key: value for key, value in row.items() if key != "sha256"}, href=link(f"/v1/profiles/{row['id']}")
    )
