"""Which finished sets a job may use, by the catalog."""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog import jobs, reuse
from service.catalog.engine import Catalog
from service.catalog.tables import activations
from service.settings import Settings
from tests.api.products import insert_job, publish_texts, sample_vectors

KEY = "a" * 64
SITES = ["blocks.0.hook_mlp_out", "final_norm_out"]


def made(settings: Settings, catalog: Catalog, job_id: str, sites: list[str]) -> list[str]:
    """Sets that a job published at those sites, with the key."""
    sets = [publish_texts(settings, catalog, sample_vectors(), job_id, position=at) for at in range(len(sites))]
    with catalog.begin() as connection:
        for set_id, site in zip(sets, sites, strict=True):
            here = activations.update().where(activations.c.id == set_id)
            connection.execute(here.values(site=site, reuse_key=KEY))
    return sets


def found(catalog: Catalog, job_id: str, sites: list[str] = SITES, *, keys: Sequence[str] = (KEY,)) -> list[list[str]]:
    with catalog.read() as connection:
        return [[set_id for set_id, _ in sets] for sets in reuse.find(connection, job_id, keys, sites)]


def test_sets_of_all_sites_of_one_job_are_found_newest_first(settings: Settings, catalog: Catalog):
    older, newer, partial, asking = (insert_job(catalog, {}) for _ in range(4))
    sets = [made(settings, catalog, job_id, SITES) for job_id in (older, newer)]
    made(settings, catalog, partial, SITES[:1])
    assert found(catalog, asking) == [sets[1], sets[0]]
    assert found(catalog, asking, SITES[::-1]) == [sets[1][::-1], sets[0][::-1]]
    assert len(found(catalog, asking, SITES[:1])) == 3
    assert found(catalog, asking, [*SITES, "blocks.1.hook_mlp_out"]) == []
    assert found(catalog, asking, keys=["b" * 64]) == []
    assert found(catalog, asking, keys=["b" * 64, KEY]) == [sets[1], sets[0]]
    assert found(catalog, asking, keys=[]) == []


def test_a_job_taken_up_again_keeps_to_what_it_has(settings: Settings, catalog: Catalog):
    first, half, whole, user = (insert_job(catalog, {}) for _ in range(4))
    sets = made(settings, catalog, first, SITES)
    with catalog.begin() as connection:
        assert reuse.link(connection, user, sets)
    made(settings, catalog, half, SITES[:1])
    own = made(settings, catalog, whole, SITES)
    assert found(catalog, user) == [sets]  # not the newer ones
    assert found(catalog, half) == []  # it publishes what is missing
    assert found(catalog, whole) == found(catalog, whole, keys=[]) == [own]


def test_linking_twice_says_it_once(settings: Settings, catalog: Catalog):
    maker, user = insert_job(catalog, {}), insert_job(catalog, {})
    sets = made(settings, catalog, maker, SITES)
    for job_id in (user, user, maker):
        with catalog.begin() as connection:
            assert reuse.link(connection, job_id, sets)
    with catalog.read() as connection:
        job, own = jobs.get(connection, user), jobs.get(connection, maker)
        told = [event.type for event in jobs.events.page(connection, user, 100, 0)[0]]
    assert [(result.id, result.site) for result in job.results] == list(zip(sets, SITES, strict=True))
    assert [notice.code for notice in job.warnings] == ["reused"]
    assert told.count("reused") == 1
    assert [result.id for result in own.results] == sets
    assert own.warnings == []


def test_a_set_that_has_gone_is_not_linked(settings: Settings, catalog: Catalog):
    maker, user = insert_job(catalog, {}), insert_job(catalog, {})
    sets = made(settings, catalog, maker, SITES)
    with catalog.begin() as connection:
        connection.execute(activations.delete().where(activations.c.id == sets[1]))
    with catalog.begin() as connection:
        assert not reuse.link(connection, user, sets)
        assert jobs.get(connection, user).results == []
