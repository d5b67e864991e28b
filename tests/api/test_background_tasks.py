"""Work that belongs to no job: it may be fatal to three workers in a row, then it has failed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.catalog import background_tasks
from service.catalog.engine import Catalog
from service.catalog.segments import MOST_DEATHS
from service.catalog.tables import background_tasks as table
from service.errors import PoisonSegment

NAME = "scan-cor-1"


def begin(catalog: Catalog, worker: str = "a") -> None:
    with catalog.begin() as connection:
        background_tasks.begin(connection, name=NAME, worker=worker)


def known(catalog: Catalog) -> list[str]:
    with catalog.read() as connection:
        return list(connection.execute(sa.select(table.c.id)).scalars())


def test_what_has_ended_leaves_nothing(catalog: Catalog):
    for _ in range(2 * MOST_DEATHS):
        begin(catalog)
        with catalog.begin() as connection:
            background_tasks.end(connection, name=NAME)
    assert known(catalog) == []


def test_three_deaths_in_a_row_are_poison_and_forgotten(catalog: Catalog):
    for worker in ("a", "b", "a"):
        begin(catalog, worker)
    with pytest.raises(PoisonSegment, match="3 times"):
        begin(catalog, "b")
    assert known(catalog) == []
    begin(catalog)  # asked for anew


def test_an_orderly_stop_is_no_death_and_forgives_none(catalog: Catalog):
    for _ in range(2 * MOST_DEATHS):
        begin(catalog, "a")
        with catalog.begin() as connection:
            background_tasks.release(connection, "b")  # another one's stop
            background_tasks.release(connection, "a")
    for _ in range(MOST_DEATHS):
        begin(catalog, "a")
    with pytest.raises(PoisonSegment):
        begin(catalog, "a")
