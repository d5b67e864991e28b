"""The job engine waits while it cannot reach PostgreSQL, whatever the driver calls that.

It knows such errors by their words, and not all of them: a socket that is gone, or a host name that nobody knows while
a container is started again, ended a waiting job in a state that nobody could record, and it stayed "running" for ever.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext


def wait_out_outages() -> None:
    """From now on, a failure to connect counts here as a lost connection, after which the engine tries again."""
    if not event.contains(sa.Engine, "handle_error", _as_lost_connection):
        event.listen(sa.Engine, "handle_error", _as_lost_connection)


def _as_lost_connection(context: ExceptionContext) -> None:
    if context.connection is None and context.dialect.name == "postgresql":
        context.is_disconnect = True
