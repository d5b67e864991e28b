"""One poller feeds all event streams: one query for all jobs, no queues, and no stream waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.api import event_feed, event_stream
from service.api.event_feed import PAGE, EventPoller, Feed
from service.api.event_stream import Reader, stream_events
from service.catalog import events, jobs
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.contracts.jobs import JobEvent
from service.errors import Unavailable
from tests.api.products import insert_job

PATIENCE_S = 20.0
ANYONE = Reader("ours", lambda: True)


async def next_type(stream: AsyncIterator[str]) -> str:
    """The type of the next event; fails where none comes."""
    text = await asyncio.wait_for(anext(stream), PATIENCE_S)
    return text.split("event: ")[1].split("\n")[0]


def add(catalog: Catalog, job_id: str, *types: str) -> None:
    with catalog.begin() as connection:
        for name in types:
            events.record(connection, job_id, name)


def end(catalog: Catalog, job_id: str) -> None:
    with catalog.begin() as connection:
        assert jobs.finish(connection, job_id, "succeeded")


def event(number: int) -> JobEvent:
    return JobEvent(id=number, job="job-1", type="planned", data={}, created_at=now())


def test_many_streams_cost_one_query_and_each_gets_its_own_events(catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    asked = []
    ask = events.newest_of
    monkeypatch.setattr(events, "newest_of", lambda connection, ids: asked.append(len(ids)) or ask(connection, ids))
    monkeypatch.setattr(event_feed, "POLL_S", 0.05)

    async def scenario() -> None:
        poller = EventPoller(catalog)
        ids = [insert_job(catalog, {}) for _ in range(30)]
        streams = [stream_events(catalog, poller, ANYONE, job_id, 0) for job_id in ids for _ in range(2)]
        assert [await next_type(stream) for stream in streams] == ["queued"] * 60
        waiting = [asyncio.ensure_future(next_type(stream)) for stream in streams]
        await asyncio.sleep(0)  # all of them wait now
        for job_id in ids:
            add(catalog, job_id, "planned")
        assert await asyncio.gather(*waiting) == ["planned"] * 60
        for job_id in ids:
            end(catalog, job_id)
        assert [await next_type(stream) for stream in streams] == ["succeeded"] * 60
        for stream in streams:
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(stream), PATIENCE_S)
        assert max(asked) == 30
        await until_idle(poller)

    asyncio.run(scenario())


async def remaining(stream: AsyncIterator[str]) -> list[str]:
    return [text.split("event: ")[1].split("\n")[0] async for text in stream]


async def until_idle(poller: EventPoller) -> None:
    """Without streams the poller ends."""
    async with asyncio.timeout(PATIENCE_S):
        while poller.polling:
            await asyncio.sleep(0.01)


def test_a_stream_that_is_not_read_holds_up_no_other_and_misses_nothing(catalog: Catalog):
    async def scenario() -> None:
        poller, job_id = EventPoller(catalog), insert_job(catalog, {})
        slow, quick = (stream_events(catalog, poller, ANYONE, job_id, 0) for _ in range(2))
        assert await next_type(slow) == await next_type(quick) == "queued"
        many = [f"warning {at}" for at in range(3 * PAGE)]
        for start in range(0, len(many), PAGE // 2):
            add(catalog, job_id, *many[start : start + PAGE // 2])
            assert [await next_type(quick) for _ in range(PAGE // 2)] == many[start : start + PAGE // 2]
        end(catalog, job_id)
        assert [await next_type(slow) for _ in many] == many
        assert await next_type(slow) == await next_type(quick) == "succeeded"
        poller.close()

    asyncio.run(scenario())


def test_streams_end_with_an_outage_and_begin_again_after_it(catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise Unavailable("the metadata database cannot be reached")

    async def scenario() -> None:
        poller, job_id = EventPoller(catalog), insert_job(catalog, {})
        stream = stream_events(catalog, poller, ANYONE, job_id, 0)
        assert await next_type(stream) == "queued"
        with monkeypatch.context() as patch:
            patch.setattr(events, "newest_of", fail)
            with pytest.raises(Unavailable):
                await next_type(stream)
        again = stream_events(catalog, poller, ANYONE, job_id, 1)
        add(catalog, job_id, "planned")
        assert await next_type(again) == "planned"
        poller.close()

    asyncio.run(scenario())


def test_the_stream_of_a_job_that_is_deleted_ends(catalog: Catalog):
    async def scenario() -> None:
        poller, job_id = EventPoller(catalog), insert_job(catalog, {})
        stream = stream_events(catalog, poller, ANYONE, job_id, 0)
        assert await next_type(stream) == "queued"
        rest = asyncio.ensure_future(remaining(stream))
        await asyncio.sleep(0)
        end(catalog, job_id)
        with catalog.begin() as connection:
            jobs.delete(connection, job_id)
        assert set(await asyncio.wait_for(rest, PATIENCE_S)) <= {"succeeded"}  # where it was read before it went
        poller.close()

    asyncio.run(scenario())


def test_a_stream_ends_when_its_key_is_revoked(catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_stream, "_KEEP_ALIVE_S", 0.01)
    valid = True

    async def scenario() -> None:
        nonlocal valid
        poller, job_id = EventPoller(catalog), insert_job(catalog, {})
        stream = stream_events(catalog, poller, Reader("theirs", lambda: valid), job_id, 0)
        assert await next_type(stream) == "queued"
        assert await asyncio.wait_for(anext(stream), PATIENCE_S) == ": waiting\n\n"
        assert (poller.streams_of("theirs"), poller.streams_of("ours")) == (1, 0)
        valid = False
        assert set(await asyncio.wait_for(remaining(stream), PATIENCE_S)) == set()
        assert poller.streams_of("theirs") == 0
        poller.close()

    asyncio.run(scenario())


def test_a_feed_keeps_a_page_and_says_when_it_lacks_an_event():
    feed = Feed()
    assert feed.after(0) is None
    feed.update(5, None, ended=False)
    assert feed.after(4) is None
    assert feed.after(5) == ([], False)
    new = [event(number) for number in range(6, 6 + PAGE + 3)]
    feed.update(new[-1].id, new, ended=True)
    assert feed.after(7) is None
    assert feed.after(8) == (new[3:], True)
    assert feed.after(new[-1].id) == ([], True)


def test_an_older_answer_does_not_end_the_stream_of_a_job_that_was_retried_since():
    feed = Feed()
    feed.update(5, None, ended=True)
    assert feed.after(6) == ([], False)
