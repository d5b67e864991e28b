"""What statistics of a million rows take: stated, and admitted where there is as much."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog import activations as catalog_sets
from service.catalog.engine import Catalog
from service.catalog.tables import activations
from service.contracts.radius import RadiusOptions
from service.estimates.work import SetShape, radius_work
from service.settings import Settings
from tests.api.support import import_array, problem_of, submit
from tests.api.test_estimates import ask, live

GIB = 2**30
N, D = 1_000_000, 1024


def test_rows_and_lists_are_in_the_memory_of_the_report_and_not_of_the_parts():
    shape, settings = SetShape(N, D), Settings()
    plain, full = (radius_work(shape, shape, RadiusOptions(statistics=on), settings) for on in (False, True))
    assert [work.stage for work in full] == ["split", "null", "search", "settle", "radius"]
    lists, copies = 64 * 16 * 3 * N, 3 * 4 * N * D
    pairs = 128 * 63 * N  # of the search: 64 neighbours instead of one
    assert full[-1].memory_bytes - plain[-1].memory_bytes == pairs + lists + copies
    assert full[2].memory_bytes - plain[2].memory_bytes == pairs + lists
    assert full[-1].amounts["searching"] > 3 * plain[2].amounts["searching"]


def test_a_split_is_a_quarter_of_all_pairs_and_half_of_the_rows():
    shape, settings = SetShape(10_000, 64), Settings()
    (plain,), (split,) = (
        radius_work(shape, shape, RadiusOptions(split=asked), settings) for asked in (None, "documents")
    )
    assert split.amounts["searching"] - plain.amounts["searching"] == 5_000**2 * 64
    assert split.memory_bytes - plain.memory_bytes == 5_000 * 64 * 4


@pytest.mark.parametrize("memory_bytes", [64 * GIB, 16 * GIB])
def test_a_million_rows_are_admitted_where_a_worker_has_the_memory(
    api: TestClient, catalog: Catalog, memory_bytes: int
):
    set_id = import_array(api, np.eye(8, dtype=np.float32))
    with catalog.begin() as connection:
        connection.execute(activations.update().where(activations.c.id == set_id).values(n=N, d_model=D))
        assert catalog_sets.get(connection, set_id)[0].n == N
    live(catalog, memory_bytes=memory_bytes)
    spec = {"activations": set_id, "statistics": True, "split": "documents"}
    found = ask(api, "radius", spec)
    assert found["seconds"] > 0
    assert 24 * GIB < found["memory_bytes"] < 32 * GIB
    assert found["fits"] is (memory_bytes == 64 * GIB)
    if found["fits"]:
        assert submit(api, "radius", spec).status_code == 202
    else:
        assert found["reason"] == problem_of(submit(api, "radius", spec), 422, "does_not_fit")["detail"]
        assert "the largest live worker has 16 GiB" in found["reason"]
