"""A query whose client has disconnected is not continued, and a figure does not wait for a query."""

# One database: the worker reads a set and its reports; what is tried is its queue.

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from service.api.query_proxy import QueryProxy
from service.catalog.engine import Catalog
from service.contracts.query import QueryRequest
from service.errors import Cancelled, NotFound, Unavailable
from service.principal import DEFAULT_PROJECT
from service.settings import Settings
from service.unix_sockets import listen
from tests.api.products import insert_job, publish_texts
from tests.databases.migrated import sqlite_settings
from workers.query.answering import answer
from workers.query.resident import ResidentSets
from workers.query.server import QueryServer

QUERY = b'{"vectors": [[1.0]]}'


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[QueryServer]:
    settings = sqlite_settings(tmp_path / "data")
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        yield QueryServer(settings, catalog)


@asynccontextmanager
async def serving(worker: QueryServer) -> AsyncIterator[QueryProxy]:
    """The worker on its socket, and a client of it."""
    server = uvicorn.Server(uvicorn.Config(worker.app(), log_level="error"))
    task = asyncio.create_task(server.serve([listen(worker.settings.query_socket)]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield QueryProxy(worker.settings)
    finally:
        server.should_exit = True
        await task


async def never() -> bool:
    return False


async def always() -> bool:
    return True


def test_a_query_that_waits_is_left_when_its_client_has_disconnected(
    worker: QueryServer, monkeypatch: pytest.MonkeyPatch
):
    """Of two that wait for the query before them, only the one with a client is looked up."""
    asked = []
    monkeypatch.setattr(worker.sets, "get", lambda *named: asked.append(named) or ResidentSets.get(worker.sets, *named))

    async def scene() -> None:
        async with serving(worker) as proxy:
            with worker._busy:
                staying = asyncio.create_task(proxy.query("ours", "act-staying", QUERY, never))
                with pytest.raises(Unavailable, match="disconnected"):
                    await proxy.query("ours", "act-leaving", QUERY, always)
                await asyncio.sleep(1)  # for the worker to see it
            with pytest.raises(NotFound):
                await staying

    asyncio.run(scene())
    assert asked == [("act-staying", "ours")]


def test_a_figure_is_answered_while_a_query_is_computed(worker: QueryServer):
    worker._drawn = {".png": b"drawn before"}

    async def scene() -> bytes:
        async with serving(worker) as proxy:
            with worker._busy:
                found = await asyncio.wait_for(asyncio.to_thread(proxy.get, "/figure1.png"), 20)
            return found.content

    assert asyncio.run(scene()) == b"drawn before"


def test_a_search_under_way_ends_at_its_next_tick(worker: QueryServer):
    catalog, settings = worker.sets._catalog, worker.settings
    rows = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    set_id = publish_texts(settings, catalog, rows, insert_job(catalog, {}))
    ticks = []

    def disconnected(share: float) -> None:
        ticks.append(share)
        raise Cancelled("the client has disconnected")

    with pytest.raises(Cancelled):
        answer(
            *worker.sets.get(set_id, DEFAULT_PROJECT), QueryRequest(vectors=rows[:3].tolist()), settings, disconnected
        )
    assert len(ticks) == 1


def test_a_worker_that_does_not_run_is_unavailable(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    settings.make_folders()
    proxy = QueryProxy(settings)
    with pytest.raises(Unavailable, match="not running"):
        asyncio.run(proxy.query("ours", "act-none", QUERY, never))
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(settings.query_socket))
    with pytest.raises(Unavailable, match="reached"):
        asyncio.run(proxy.query("ours", "act-none", QUERY, never))
