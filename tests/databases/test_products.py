"""The products of every kind are known by their tables: none is left out of a backup, a quota or a deletion."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog import products
from service.catalog.engine import Catalog
from service.catalog.tables import metadata, reproductions
from service.ids import new_id
from tests.databases.rows import AT


def test_every_table_of_products_has_a_prefix():
    hashes = {"sha256", "view_sha256"}
    of_products = {
        table.name for table in metadata.tables.values() if "job" in table.c and hashes & set(table.c.keys())
    }
    assert {table.name for table in products.BY_PREFIX.values()} == of_products


def test_what_has_views_grows():
    growing = {prefix for prefix in products.BY_PREFIX if products.grows(new_id(prefix))}
    assert growing == {"reproduction", "run", "sweep"}


def test_ids_are_told_from_other_names():
    assert all(products.is_id(new_id(prefix)) for prefix in products.BY_PREFIX)
    assert not any(products.is_id(name) for name in (new_id("job"), new_id("mine"), "act-0123", "lost+found"))


def test_the_view_of_a_reproduction_is_recorded(catalog: Catalog):
    row = {
        "id": new_id("reproduction"),
        "job": new_id("job"),
        "name": "",
        "scale": "smoke",
        "model": "m",
        "corpus": "c",
    }
    row |= {"verdicts": {}, "complete": True, "view_step": 7, "view_sha256": "0" * 64, "created_at": AT}
    with catalog.begin() as connection:
        connection.execute(sa.insert(reproductions).values(row))
        (found,) = products.recorded_files(connection).items()
    assert found == (f"{row['id']}/view-00000007/manifest.json", "0" * 64)
