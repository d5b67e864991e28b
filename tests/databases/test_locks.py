"""What both kinds of worker lock promise: a file beside SQLite, an advisory lock of a session on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Barrier

import pytest

from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock, worker_lock
from service.settings import Settings

NAME = "compute-a"
_HOLDER = """
import sys
import time
from pathlib import Path
from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock
lock = WorkerLock(Catalog(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
print(lock.take(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def catalogs(settings: Settings) -> Iterator[list[Catalog]]:
    """Of two processes, each with connections of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Catalog(settings.resolved_database_url))) for _ in range(2)]


@pytest.fixture
def locks(settings: Settings, catalogs: list[Catalog]) -> Iterator[list[WorkerLock]]:
    """Two locks of one name."""
    made = [WorkerLock(catalog, settings.locks, NAME) for catalog in catalogs]
    yield made
    for lock in made:
        lock.release()


def test_one_of_two_takes_a_name_and_the_other_after_its_release(locks: list[WorkerLock]):
    first, second = locks
    for _ in range(50):  # a lock that is released is free at once
        assert first.take()
        assert not second.take()
        first.release()
        assert second.take()
        assert not first.take()
        second.release()


def test_names_do_not_exclude_each_other(settings: Settings, catalogs: list[Catalog], locks: list[WorkerLock]):
    assert locks[0].take()
    with worker_lock(catalogs[1], settings.locks, "compute-b") as free:
        assert free


def test_a_lock_is_kept_until_it_is_released(locks: list[WorkerLock]):
    first, second = locks
    assert first.take()
    assert [first.keep() for _ in range(3)] == [True] * 3
    assert not second.take()


def test_keeping_takes_a_lock_that_is_free_and_no_other(locks: list[WorkerLock]):
    first, second = locks
    assert first.keep()
    assert not second.keep()
    first.release()
    assert second.keep()


def test_releasing_twice_or_without_a_lock_changes_nothing(locks: list[WorkerLock]):
    first, second = locks
    first.release()
    assert second.take()
    first.release()
    assert not first.take()
    second.release()
    second.release()
    assert first.take()


def test_a_block_gives_its_lock_back_also_after_an_error(settings: Settings, catalogs: list[Catalog]):
    def fail() -> None:
        with worker_lock(catalogs[0], settings.locks, NAME) as free:
            assert free
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    with worker_lock(catalogs[1], settings.locks, NAME) as free:
        assert free


def test_of_many_at_once_exactly_one_takes_a_name(settings: Settings):
    together, count = Barrier(8), 8

    def take() -> bool:
        with closing(Catalog(settings.resolved_database_url)) as catalog:
            lock = WorkerLock(catalog, settings.locks, NAME)
            together.wait()
            taken = lock.take()
            together.wait()
            lock.release()
            return taken

    with ThreadPoolExecutor(count) as pool:
        taken = [found.result() for found in [pool.submit(take) for _ in range(count)]]
    assert taken.count(True) == 1


def test_the_end_of_a_process_frees_its_lock(settings: Settings, locks: list[WorkerLock]):
    command = [sys.executable, "-c", _HOLDER, settings.resolved_database_url, str(settings.locks), NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not locks[0].take()
        holder.kill()
        holder.wait()
    assert _is_free_soon(locks[0])


def _is_free_soon(lock: WorkerLock) -> bool:
    """A server sees a moment later that a process has ended."""
    for _ in range(600):
        if lock.take():
            return True
        time.sleep(0.05)
    return False
