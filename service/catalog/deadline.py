"""Connections to PostgreSQL that do not wait for ever for a server that stands still."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Result = TypeVar("Result")


class BoundedConnection(psycopg.Connection[Any]):
    """A statement without an answer within `answer_s` is an `OperationalError`, and the end of the connection.

    The server cannot be asked to keep such a limit: where it stands still, or cannot be reached, it ends nothing.
    """

    answer_s: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # no answer yet, not an answer that says no
                self.close()
            raise


def connect(answer_s: float, *arguments: Any, **parameters: Any) -> BoundedConnection:
    """Connect, with that limit from then on."""
    connection = BoundedConnection.connect(*arguments, **parameters)
    connection.answer_s = answer_s
    return connection
