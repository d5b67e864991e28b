"""The database's clock: clocks of hosts may differ, so moments that are compared come from one clock."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.contracts.base import now


def moment(connection: sa.Connection) -> datetime:
    """Now, by PostgreSQL's clock, or with SQLite by this host's, where its file is."""
    if connection.dialect.name != "postgresql":
        return now()
    return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
