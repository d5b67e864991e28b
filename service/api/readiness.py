"""Whether jobs can be taken, said within a second whatever the database does."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

from service.catalog.engine import Catalog
from service.errors import Unavailable
from service.jobs.engine import JobEngine

_PATIENCE_S = 0.5
_ANSWER_S = 2.0  # then the connection is given up, so that a database that is back is seen soon


class Readiness:
    """Asks the database by one thread and connections of its own, since all others may be waiting for it."""

    def __init__(self, url: str) -> None:
        self._catalog, self._engine = Catalog(url, _ANSWER_S), JobEngine(url, _ANSWER_S)
        self._thread = ThreadPoolExecutor(1, "readiness")
        self._asked: Future[None] | None = None

    async def check(self) -> None:
        """Raise `Unavailable` with the cause unless the database has all tables and says so in time."""
        if self._asked is None or self._asked.done():
            self._asked = self._thread.submit(self._check)
        answer = asyncio.wrap_future(self._asked)
        try:
            await asyncio.wait_for(asyncio.shield(answer), _PATIENCE_S)
        except TimeoutError:
            answer.add_done_callback(lambda late: late.cancelled() or late.exception())  # told to who asks then
            raise Unavailable("the metadata database does not answer") from None

    def _check(self) -> None:
        self._catalog.check()
        self._engine.check()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._engine.close()
        self._catalog.close()
