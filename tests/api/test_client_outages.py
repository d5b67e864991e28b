"""The client while the service is away: submitting and waiting go on, up to a limit, and no job is doubled."""

# One database: what a client does while no service answers.

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from service.client import AsyncClient, Client, Handle
from service.client.connection import connection_options
from service.contracts.jobs import FINAL_STATES, JobEvent
from service.errors import Conflict, InvalidInput, Unavailable
from tests.api.fronts import BUSY, LOST, front
from tests.api.serving import Server
from tests.api.support import EXTRACTION, ON_SQLITE


def submitted(server: Server) -> int:
    with Client(server.url) as client:
        return sum(1 for _ in client.jobs())


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.client.connection._FIRST_PAUSE_S", 0.02)


@pytest.fixture
def before(server: Server) -> int:
    """The number of jobs before a test."""
    return submitted(server)


@ON_SQLITE
def test_waiting_goes_on_while_connections_are_refused(server: Server):
    with front(server.url, BUSY, BUSY, away_s=0.1) as away, Client(away.url) as client:
        finished = Handle(client, server.published.job).wait(timeout_s=20)
        assert finished.reports == [server.published.report]
        assert len(away.seen) == 3


@ON_SQLITE
def test_the_other_client_waits_too(server: Server):
    async def main() -> None:
        with front(server.url, BUSY, LOST, away_s=0.1) as away:
            async with AsyncClient(away.url) as client:
                finished = await client.wait(server.published.job, timeout_s=20)
                assert finished.reports == [server.published.report]

    asyncio.run(main())


@ON_SQLITE
def test_retry_after_is_waited_for(server: Server):
    with front(server.url, BUSY, retry_after="1") as busy, Client(busy.url) as client:
        began = time.monotonic()
        Handle(client, server.published.job).wait()
        assert time.monotonic() - began >= 1


@ON_SQLITE
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_submission_whose_answer_was_lost_is_one_job(server: Server, before: int, asynchronous: bool):
    async def submit(url: str) -> str:
        async with AsyncClient(url) as client:
            return (await client.submit("extraction", EXTRACTION)).id

    with front(server.url, LOST, BUSY, LOST) as lossy:
        if asynchronous:
            job_id = asyncio.run(submit(lossy.url))
        else:
            with Client(lossy.url) as client:
                job_id = client.submit("extraction", EXTRACTION).id
        assert lossy.seen == ["POST /v1/jobs"] * 4
    with Client(server.url) as client:
        assert client.job(job_id).state == "queued"
    assert submitted(server) == before + 1


@ON_SQLITE
def test_two_submissions_are_two_jobs_unless_they_have_one_key(server: Server, before: int):
    with Client(server.url) as client:
        ids = {client.submit("extraction", EXTRACTION).id for _ in range(2)}
        assert len(ids) == 2
        key = f"key-{before}"
        same = {client.submit("extraction", EXTRACTION, idempotency_key=key).id for _ in range(2)}
        assert len(same) == 1
        with pytest.raises(Conflict):
            client.submit("extraction", EXTRACTION, priority=3, idempotency_key=key)


def test_trying_again_has_a_limit_and_is_said_once(unused_url: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING), Client(unused_url, retry_s=0.6) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no service answers at"):
            client.submit("extraction", EXTRACTION)
        assert 0.2 < time.monotonic() - began < 5
    assert [record.getMessage() for record in caplog.records] == [
        f"no service answers at {unused_url}: start one with `radius up` (or `make up`), or name another by --url or "
        "RADIUS_URL; trying again for 0.6 s"
    ]


def test_no_limit_outlasts_that_of_waiting(unused_url: str):
    with Client(unused_url) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.wait("job-0", timeout_s=0.3)
        assert time.monotonic() - began < 5


@ON_SQLITE
def test_without_trying_again_the_first_answer_counts(server: Server, unused_url: str):
    with Client(unused_url, retry_s=0) as client, pytest.raises(Unavailable):
        client.wait("job-0")
    with front(server.url, BUSY, retry_after="soon") as busy, Client(busy.url, retry_s=0) as client:
        with pytest.raises(Unavailable, match="503") as caught:
            client.submit("extraction", EXTRACTION)
        assert caught.value.retry_after_s is None
        assert client.submit("extraction", EXTRACTION).id


@ON_SQLITE
def test_events_are_followed_to_the_end_of_a_job_over_an_outage(server: Server):
    with Client(server.url) as client:
        expected = client.events(server.published.job)
    with front(server.url, BUSY, LOST, BUSY, away_s=0.1) as away, Client(away.url) as client:
        assert list(client.follow(server.published.job)) == expected
        assert list(client.follow(server.published.job, after=expected[0].id)) == expected[1:]

    async def main() -> list[JobEvent]:
        async with AsyncClient(server.url) as client:
            return [event async for event in client.follow(server.published.job)]

    assert asyncio.run(main()) == expected
    assert expected[-1].type in FINAL_STATES


@ON_SQLITE
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_no_proxy_of_the_environment_comes_between_a_client_and_loopback(
    server: Server, monkeypatch: pytest.MonkeyPatch, proxy: str
):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    port = server.url.rpartition(":")[2]
    for url in (server.url, f"http://localhost:{port}"):
        with Client(url, api_key="a-key") as client:
            client.wait_until_ready(timeout_s=5)
    assert connection_options("http://[::1]:8000")["trust_env"] is False
    assert connection_options("http://radius.example")["trust_env"] is True
    if proxy.startswith("socks5"):
        with pytest.raises(InvalidInput, match="a proxy of the environment cannot be used"):
            Client("http://radius.example")


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "http://[::1", "ftp://127.0.0.1", ""])
def test_what_is_not_the_url_of_a_service_is_refused(url: str):
    with pytest.raises(InvalidInput, match="must be http") as caught:
        Client(url)
    assert caught.value.field == "url"
