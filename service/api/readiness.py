"""Whether jobs can be accepted and run, answered within a second whatever the database does."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

from service.catalog import workers
from service.catalog.engine import Catalog
from service.contracts.base import WorkerRole
from service.errors import Unavailable
from service.jobs.engine import JobEngine

_WAIT_S = 0.5
_ANSWER_S = 2.0  # then the connection is closed, so that a database that is up again is found soon


class Readiness:
    """Queries the database in one thread, with connections of its own, since all others may be waiting for it."""

    def __init__(self, url: str, lease_s: float) -> None:
        self._lease_s = lease_s
        self._catalog, self._engine = Catalog(url, _ANSWER_S), JobEngine(url, _ANSWER_S)
        self._thread = ThreadPoolExecutor(1, "readiness")
        self._check_running: Future[list[WorkerRole]] | None = None

    async def check(self) -> list[WorkerRole]:
        """The roles without a living worker: jobs that need one are accepted and wait.

        Raises:
            Unavailable: the database does not answer in time, or lacks tables.
        """
        if self._check_running is None or self._check_running.done():
            self._check_running = self._thread.submit(self._check)
        answer = asyncio.wrap_future(self._check_running)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), _WAIT_S)
        except TimeoutError:
            answer.add_done_callback(lambda late: late.cancelled() or late.exception())  # the next check reports it
            raise Unavailable("the metadata database does not answer") from None

    def _check(self) -> list[WorkerRole]:
        self._catalog.check()
        self._engine.check()
        with self._catalog.read() as connection:
            return workers.missing_roles(connection, self._lease_s)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._engine.close()
        self._catalog.close()
