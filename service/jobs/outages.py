"""Makes the job engine wait while it cannot reach PostgreSQL, whatever error the driver raises.

The engine recognises such errors by their messages, and not all of them: after a missing socket, or a host name that
does not resolve while a container restarts, it ended a waiting job without a record, and the job stayed "running".
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext


def wait_out_outages() -> None:
    """Treat every failure to connect in this process as a lost connection, after which the engine tries again."""
    if not event.contains(sa.Engine, "handle_error", _as_lost_connection):
        event.listen(sa.Engine, "handle_error", _as_lost_connection)


def _as_lost_connection(context: ExceptionContext) -> None:
    if context.connection is None and context.dialect.name == "postgresql":
        context.is_disconnect = True
