"""The asynchronous client against a server on loopback, over real HTTP."""

from __future__ import annotations

import asyncio
import inspect

import numpy as np
import pytest

from service.catalog import jobs
from service.client import AsyncClient, JobFailed
from service.errors import Conflict, InvalidInput, NonFiniteData, NotAvailable, NotFound, Unavailable
from tests.api.products import nearest_distances
from tests.api.serving import Server
from tests.api.support import EXTRACTION


def test_a_job_is_submitted_and_read(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            submitted = await client.submit("extraction", EXTRACTION, priority=7, labels={"who": "me"})
            assert await client.job(submitted.id) == submitted
            assert (submitted.state, submitted.priority, submitted.labels) == ("queued", 7, {"who": "me"})

    asyncio.run(main())


def test_all_jobs_are_listed_page_by_page(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            ids = [(await client.submit("extraction", EXTRACTION)).id for _ in range(5)]
            found = [job.id async for job in client.jobs(limit=2)]
            assert found[:5] == ids[::-1]
            assert len(found) == len(set(found))

    asyncio.run(main())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_comes_back_bit_by_bit(server: Server, dtype: type):
    vectors = np.random.default_rng(2).normal(size=(50, 3)).astype(dtype)

    async def main() -> None:
        async with AsyncClient(server.url) as client:
            summary = await client.import_vectors(vectors, "mine")
            assert (summary.name, (await client.activations(summary.id)).n) == ("mine", 50)
            found = await client.vectors(summary.id)
            assert (found.dtype, found.tobytes()) == (dtype, vectors.tobytes())

    asyncio.run(main())


def test_many_calls_run_at_once(server: Server):
    arrays = [np.full((4, 2), number, dtype=np.float32) for number in range(8)]

    async def main() -> None:
        async with AsyncClient(server.url) as client:
            summaries = await asyncio.gather(*(client.import_vectors(array) for array in arrays))
            found = await asyncio.gather(*(client.vectors(summary.id) for summary in summaries))
        assert all(np.array_equal(one, other) for one, other in zip(arrays, found, strict=True))

    asyncio.run(main())


def test_a_report_is_read_with_its_neighbours_and_figure(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            report = await client.radius(server.published.report)
            pairs = await client.neighbors(report.id, limit=2)
            assert (await client.figure(report.id, "pdf")).startswith(b"%PDF")
        whole = report.fractions[-1].nn_distance
        assert whole is not None
        assert whole.mean == pytest.approx(nearest_distances(server.published.vectors).mean(), rel=1e-9)
        assert pairs[0].distance == 0

    asyncio.run(main())


def test_errors_are_those_of_the_tree(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            with pytest.raises(NotFound, match="no such job"):
                await client.job("job-0")
            with pytest.raises(NotAvailable):
                await client.submit("radius", {"activations": "act-1", "reference": "act-2", "engine": "faiss-flat"})
            with pytest.raises(Conflict):
                await client.register_corpus(builtin="python-docs", name="python-docs")
            with pytest.raises(NonFiniteData, match="row 0"):
                await client.import_vectors(np.array([[np.inf]]))
            with pytest.raises(InvalidInput, match=r"spec\.model"):
                await client.submit("extraction", {"corpus": "python-docs"})

    asyncio.run(main())


def test_a_server_that_is_not_there_is_unavailable(unused_url: str):
    async def main() -> None:
        async with AsyncClient(unused_url) as client:
            with pytest.raises(Unavailable):
                await client.job("job-0")

    asyncio.run(main())


def test_waiting_can_be_given_up(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            job = await client.submit("extraction", EXTRACTION)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait(job.id), timeout=0.3)
            assert (await client.job(job.id)).state == "queued"

    asyncio.run(main())


def test_waiting_has_a_limit_as_that_of_the_other_client():
    assert "timeout_s" in inspect.signature(AsyncClient.wait).parameters


def test_waiting_gives_products_or_raises(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            assert (await client.wait(server.published.job)).reports == [server.published.report]
            job = await client.submit("extraction", EXTRACTION)
            with server.catalog.begin() as connection:
                jobs.finish(connection, job.id, "failed", {"code": "internal", "detail": "the model is away"})
            with pytest.raises(JobFailed, match="the model is away"):
                await client.wait(job.id)

    asyncio.run(main())
