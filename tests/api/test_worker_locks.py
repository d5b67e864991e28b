"""One lock for each worker's name: who holds it lives."""

from __future__ import annotations

from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock, worker_lock
from service.settings import Settings


def test_one_holder_of_a_name(settings: Settings):
    first, second = Catalog(settings.resolved_database_url), Catalog(settings.resolved_database_url)
    with worker_lock(first, settings.locks, "compute-a") as held:
        assert held
        with worker_lock(second, settings.locks, "compute-a") as again:
            assert not again
        with worker_lock(second, settings.locks, "compute-b") as other:
            assert other
    with worker_lock(second, settings.locks, "compute-a") as free:
        assert free
    first.close()
    second.close()


def test_a_lock_is_kept(settings: Settings):
    first, second = Catalog(settings.resolved_database_url), Catalog(settings.resolved_database_url)
    lock, other = (WorkerLock(catalog, settings.locks, "compute-a") for catalog in (first, second))
    assert lock.take()
    assert lock.keep()
    assert not other.keep()
    for _ in range(100):  # let go is free at once
        lock.release()
        assert other.keep()
        assert not lock.keep()
        other.release()
        assert lock.keep()
    lock.release()
    first.close()
    second.close()
