"""Vectors of any scale over the whole way: imported, measured, queried; what no double holds is refused by its row."""

# No database: where numbers come from and go to, not how a catalog keeps them.
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.artifacts.report import EnergyFolder, ReportFolder
from service.catalog import energy as energy_catalog
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.energy_report import EnergyReport
from service.contracts.query import QueryRequest, QueryResult
from service.contracts.radius import RadiusReport
from service.errors import InvalidInput, NonFiniteData, RadiusError
from service.principal import DEFAULT_PROJECT
from service.settings import Settings
from tests.api.products import evaluate, insert_job, measure
from tests.api.test_degenerate_reports import import_rows
from tests.databases.migrated import sqlite_settings
from workers.neighbors.reference import nearest_reference
from workers.query.answering import answer
from workers.query.resident import ResidentSets

Array = np.ndarray


class Store:
    """Settings and a catalog, and what is done with sets there."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.settings, self.catalog, self.sets = settings, catalog, ResidentSets(settings, catalog)

    def set(self, rows: Array) -> str:
        return import_rows(self.settings, self.catalog, rows)

    def radius(self, rows: Array, **options: Any) -> RadiusReport:
        job = insert_job(self.catalog, {})
        report = measure(self.settings, self.catalog, job, self.set(rows), **options)
        return ReportFolder(*self._read(radius_catalog.get, report)).report()

    def energy(self, *sets: Array, **options: Any) -> EnergyReport:
        job, ids = insert_job(self.catalog, {}, "energy"), [self.set(rows) for rows in sets]
        report = evaluate(self.settings, self.catalog, job, ids, **options)
        return EnergyFolder(*self._read(energy_catalog.get, report)).report()

    def query(self, set_id: str, vector: Array) -> QueryResult:
        request = QueryRequest(vectors=[vector.tolist()], k=3)
        (result,) = answer(*self.sets.get(set_id, DEFAULT_PROJECT), request, self.settings).results
        json.dumps(result.model_dump(mode="json"), allow_nan=False)
        return result

    def _read(self, get: Callable[..., tuple[Any, str]], report: str) -> tuple[Path, str]:
        with self.catalog.read() as connection:
            return self.settings.artifacts_root / report, get(connection, report)[1]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    few = {"null_queries": 10, "energy_basin_rows": 4, "energy_curvature_rows": 4}
    settings = sqlite_settings(tmp_path_factory.mktemp("scales") / "data", **few)
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        yield Store(settings, catalog)


def normal(scale: float = 1.0, n: int = 30) -> Array:
    rows = np.random.default_rng(0).standard_normal((n, 3)) * scale
    rows[9] = rows[4]
    return rows


@pytest.fixture(scope="module")
def plain(store: Store) -> RadiusReport:
    return store.radius(normal())


@pytest.mark.parametrize("power", [-995, -538, 995])
def test_a_radius_report_scales_with_its_rows(store: Store, plain: RadiusReport, power: int):
    scaled = store.radius(normal(2.0**power), drawn=power == -995)
    assert scaled.certified_fraction == 1
    for a, b in zip(plain.fractions, scaled.fractions, strict=True):
        assert a.nn_distance is not None
        assert b.nn_distance is not None
        assert (a.duplicates, a.without_neighbor) == (b.duplicates, b.without_neighbor)
        assert b.nn_distance.mean == pytest.approx(np.ldexp(a.nn_distance.mean, power), rel=1e-13)
        assert b.nn_distance.std == pytest.approx(np.ldexp(a.nn_distance.std, power), rel=1e-13)
    assert plain.null_model is not None
    assert scaled.null_model is not None
    ratios = [part.null_model.fractions[-1].observed_over_null for part in (plain, scaled)]  # type: ignore[union-attr]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-12)
    assert scaled.partition is None
    assert "1e-150 to 1e150" in (scaled.partition_reason or "")


def test_float32_rows_of_1e20_have_energies(store: Store):
    rows = normal(1e20).astype(np.float32)
    layer = store.energy(rows).layers[0]
    distances, _ = nearest_reference(rows)
    assert layer.g.distribution.mean == pytest.approx((distances[:, 0] ** 2).mean(), rel=1e-12)
    assert layer.energies[0].energy.distribution.mean == pytest.approx(layer.g.distribution.mean, rel=1e-12)


def test_rows_from_1e_minus_100_to_1e100_have_energies(store: Store):
    rows = np.concatenate([normal(1e-100, 12), normal(1e100, 12)])
    layer = store.energy(rows, rows).layers[0]
    distances, _ = nearest_reference(rows)
    assert layer.g.distribution.mean == pytest.approx((distances[:, 0] ** 2).mean(), rel=1e-12)
    assert layer.bounds.corrected.proposition_1.failed_share == 0
    assert all(part.negative_share == 0 for part in layer.curvature if part.where == "rows" and part.kind == "energy")


@pytest.mark.parametrize("scale", [1e-162, 1e160])
def test_energies_of_rows_whose_squares_no_double_holds_are_refused(store: Store, scale: float):
    with pytest.raises(RadiusError, match=r"row 4\b.*squared distances (under|over)flow a double; scale the vectors"):
        store.energy(normal(scale))
    with pytest.raises(InvalidInput, match=r"row 4\b.*squared distances (under|over)flow a double; scale the vectors"):
        store.query(store.set(normal(scale)), np.zeros(3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_queries_from_far_away_are_answered_or_refused(store: Store, dtype: str):
    rows = normal().astype(dtype)
    set_id = store.set(rows)
    far = store.query(set_id, np.array([1e60, 0.0, 0.0]))
    assert (far.nn_distance, far.g) == (1e60, pytest.approx(1e120, rel=1e-15))
    assert far.energy == pytest.approx(1e120, rel=1e-12)
    assert [near.row for near in far.neighbors] == [0, 1, 2]  # all are at 1e60, the lowest rows first
    with pytest.raises(NonFiniteData, match=r"query 0 is 1e\+200 from the centre of the patterns") as caught:
        store.query(set_id, np.array([1e200, 0.0, 0.0]))
    assert caught.value.field == "vectors"
    beside = rows[4].astype(np.float64)
    assert store.query(set_id, beside).g == 0


def test_a_query_whose_square_underflows_is_refused(store: Store):
    set_id = store.set(np.array([[0.0, 0, 0], [1e-200, 0, 0], [1.0, 0, 0]]))
    with pytest.raises(InvalidInput, match="query 0 is 2e-200 from row 1: the squared distance underflows") as caught:
        store.query(set_id, np.array([3e-200, 0.0, 0.0]))
    assert caught.value.field == "vectors"


def test_two_layers_without_a_partition_function_are_reported(store: Store):
    """Radii below 1e-150 have no log Z, but energies."""
    report = store.energy(normal(1e-150), normal(1e-150, 30)[::-1].copy())
    assert report.energy_global is not None
    assert report.energy_global.corrected.log_partitions == [None, None]
    assert report.energy_global.paper_literal.log_partitions == [None, None]


@pytest.mark.parametrize(("d", "warned"), [(3, False), (8, False), (9, True), (40, True)])
def test_massive_dimensions_are_warned_of_beyond_eight(store: Store, d: int, warned: bool):
    """Five of so few dimensions hold most of the norm in any data."""
    rows = np.random.default_rng(1).standard_normal((30, d))
    rows[:, :1] += 100.0
    (notice,) = [n for n in store.radius(rows).warnings if n.code == "massive_dimensions"] or [None]
    assert (notice is not None) == warned
    if notice is not None:
        assert notice.message.startswith(
            f"five of the {d} dimensions hold 100% of the squared norm; the five that vary"
        )
