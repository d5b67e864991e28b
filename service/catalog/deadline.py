"""Connections to PostgreSQL that do not wait for ever for a server that does not answer."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Result = TypeVar("Result")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that raises `OperationalError` and closes if a statement is not answered within `answer_s`.

    The limit cannot be the server's: a server that hangs or is unreachable cannot end a statement.
    """

    answer_s: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # no answer has come, not even an error
                self.close()
            raise


def connect(answer_s: float, *arguments: Any, **parameters: Any) -> BoundedConnection:
    """Connect, with a limit on the wait for each later answer."""
    connection = BoundedConnection.connect(*arguments, **parameters)
    connection.answer_s = answer_s
    return connection
