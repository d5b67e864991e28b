"""A set that is deleted while another job is about to use it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.catalog import jobs, products, reuse
from service.catalog.engine import Catalog
from service.errors import Conflict
from service.settings import Settings
from tests.api.products import insert_job
from tests.api.test_reuse import SITES, made
from tests.postgres.test_concurrent_writes import PATIENCE_S, wait_for_a_lock


def test_who_deletes_first_leaves_nothing_to_use(settings: Settings, catalog: Catalog):
    maker, user = insert_job(catalog, {}), insert_job(catalog, {})
    sets = made(settings, catalog, maker, SITES)

    def link() -> bool:
        with catalog.begin() as connection:
            return reuse.link(connection, user, sets)

    with ThreadPoolExecutor(1) as pool:
        with catalog.begin() as connection:
            products.delete(connection, maker)
            linked = pool.submit(link)
            wait_for_a_lock(catalog)
        assert not linked.result(PATIENCE_S)
    with catalog.read() as connection:
        assert jobs.get(connection, user).results == []


def test_who_uses_first_cannot_be_deleted_from_under(settings: Settings, catalog: Catalog):
    maker, user = insert_job(catalog, {}), insert_job(catalog, {})
    sets = made(settings, catalog, maker, SITES)

    def delete() -> None:
        with catalog.begin() as connection:
            products.delete(connection, maker)

    with ThreadPoolExecutor(1) as pool:
        with catalog.begin() as connection:
            assert reuse.link(connection, user, sets)
            deleted = pool.submit(delete)
            wait_for_a_lock(catalog)
        with pytest.raises(Conflict):
            deleted.result(PATIENCE_S)
