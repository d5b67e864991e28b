"""What time it is: hosts that share a PostgreSQL need not agree, so moments that are compared are the database's."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.contracts.base import now


def moment(connection: sa.Connection) -> datetime:
    """Now, by PostgreSQL's clock, or by this host's, where SQLite lies."""
    if connection.dialect.name != "postgresql":
        return now()
    return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
