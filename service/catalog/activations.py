"""Rows of published activation sets."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog import inputs
from service.catalog.ownership import project_of, with_owner
from service.catalog.rows import Row, chunks, get_row, page_rows, put
from service.catalog.tables import activations
from service.contracts.activations import ActivationStatistics, ActivationSummary
from service.contracts.base import now
from service.errors import Conflict, NotFound

_NAMED = 3  # jobs that a refusal names


def publish(connection: sa.Connection, row: Row) -> None:
    """Make a written set visible; repeating it changes nothing, and a set that was made again is described again."""
    put(connection, activations, with_owner(row) | {"created_at": now()}, keep="created_at")


def published(connection: sa.Connection, ids: list[str]) -> dict[str, str]:
    """The visible sets among `ids`, with the SHA-256 of their manifests."""
    query = sa.select(activations.c.id, activations.c.sha256)
    parts = (query.where(activations.c.id.in_(part)) for part in chunks(ids))
    return {row.id: row.sha256 for part in parts for row in connection.execute(part)}


def lock_for_reading(connection: sa.Connection, ids: list[str]) -> None:
    """Keep these sets from being deleted until the transaction ends."""
    these = sa.select(activations.c.id).where(activations.c.id.in_(ids)).order_by(activations.c.id)
    connection.execute(these.with_for_update(read=True, key_share=True))


def delete_import(connection: sa.Connection, set_id: str) -> None:
    """Delete the row of an imported set.

    Raises:
        NotFound: no such set.
        Conflict: a job made it, or jobs read it or have reports of it; the message names them.
    """
    here = activations.c.id == set_id
    locked = connection.execute(sa.select(activations.c.job).where(here).with_for_update()).first()
    if locked is None:
        raise NotFound("no such activation set", field="activations")
    if locked.job is not None:
        raise Conflict(f"{locked.job} made this set; deleting the job deletes it")
    inputs.record_all_missing(connection)
    if users := inputs.users(connection, set_id, _NAMED):
        raise Conflict(f"{', '.join(users)} read this set or have reports of it; delete those jobs first")
    connection.execute(activations.delete().where(here))


def get(connection: sa.Connection, set_id: str) -> tuple[ActivationSummary, ActivationStatistics]:
    """The set of that id; raises `NotFound`."""
    row = get_row(connection, activations, set_id)
    if row is None:
        raise NotFound("no such activation set", field="activations")
    return _summary(row), ActivationStatistics(**row["statistics"])


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[ActivationSummary], str | None]:
    """One page of activation sets, newest first, without those of other projects that a job uses."""
    rows, following = page_rows(connection, activations, limit, after, project=project_of(connection))
    return [_summary(row) for row in rows], following


def _summary(row: Row) -> ActivationSummary:
    return ActivationSummary(**{key: value for key, value in row.items() if key not in ("statistics", "reuse_key")})
