"""Reports on degenerate data: a job publishes finite numbers or refuses with an error of the product, never another."""

# One database: hundreds of generated reports; how the catalog keeps a report is tried on both elsewhere.
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.artifacts.activation_set import catalog_row
from service.artifacts.atomic import publish_folder
from service.artifacts.importing import import_vectors
from service.catalog import activations
from service.catalog.engine import Catalog
from service.contracts.base import Contract
from service.errors import InvalidInput, RadiusError
from service.ids import new_id
from service.settings import Settings
from tests.api.products import evaluate, insert_job, measure
from tests.api.support import client_of
from tests.databases.migrated import sqlite_settings
from tests.databases.soak import SOAK
from tests.examples import examples
from workers.energy.evaluation import evaluate as energies_of
from workers.energy.patterns import prepare_patterns
from workers.flows.energy.fields import bounds_report, global_report, spread, storage_report
from workers.flows.radius.fields import counts_report, fraction_reports
from workers.neighbors.answers import Neighbors
from workers.neighbors.stored import StoredRows

Array = np.ndarray
ANGLES = 2 * np.pi * np.arange(100) / 100
ROWS = {
    "polygon": np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1),
    "distances of 1e17": 1e17 * np.arange(4.0)[:, None],
    "one row": np.ones((1, 3)),
    "two rows": np.eye(2),
    "equal rows": np.ones((5, 2)),
    "zeros": np.zeros((4, 3)),
    "two values": np.asarray([[0.0], [0.0], [1.0], [1.0]]),
    "neighbouring numbers": (1 + np.arange(6) * 2.0**-52)[:, None],
    "near and far": np.asarray([[0.0], [1e-200], [3e-200], [1.0]]),
    "subnormal": 5e-324 * np.arange(6.0)[:, None],
    "1e-300": 1e-300 * np.arange(6.0)[:, None],
    "1e-149": 1e-149 * np.arange(6.0)[:, None],
    "1e149": 1e149 * np.arange(6.0)[:, None],
    "1e300": 1e300 * np.arange(6.0)[:, None],
    "float32, 1e-40": (1e-40 * np.arange(6)[:, None]).astype(np.float32),
    "float32, 1e37": (1e37 * np.arange(6)[:, None]).astype(np.float32),
    "float16": np.asarray([[6e-8], [65504], [-65504], [0]], dtype=np.float16),
}
STATISTICS: dict[str, Any] = {"transform": ["unit_norm", "standardize", "whiten"], "extrapolate_to": [10**9]}
DRAWN = ("neighbouring numbers", "1e-149", "1e149")  # whose figures have the narrowest and the widest bins
MAGNITUDES = [0.0, 5e-324, 1e-300, 1e-160, 1e-100, 1e-20, 1.0, 1e17, 1e77, 1e100, 1e149, 1e160, 1e300]
ABOVE_ZERO = st.one_of(st.sampled_from(MAGNITUDES), st.floats(0, 1e300), st.floats(1, 1 + 2.0**-48))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    few = {"null_queries": 10, "null_draws": 2, "energy_basin_rows": 4, "energy_curvature_rows": 4}
    return sqlite_settings(tmp_path_factory.mktemp("degenerate") / "data", **few)


@pytest.fixture(scope="module")
def catalog(settings: Settings) -> Iterator[Catalog]:
    with closing(Catalog(settings.resolved_database_url)) as opened:
        yield opened


@pytest.fixture(scope="module")
def reader(settings: Settings) -> Iterator[TestClient]:
    with client_of(settings) as client:
        yield client


def import_rows(settings: Settings, catalog: Catalog, rows: Array) -> str:
    """A published set, as `POST /v1/activations` makes it."""
    set_id = new_id("act")
    upload, staging = settings.uploads_root / set_id, settings.staging_root / set_id
    np.save(upload.with_suffix(".npy"), rows)
    import_vectors(upload.with_suffix(".npy"), staging, {"id": set_id, "name": "degenerate", "provenance": {}})
    publish_folder(staging, settings.artifacts_root / set_id)
    with catalog.begin() as connection:
        activations.publish(connection, catalog_row(settings.artifacts_root / set_id))
    return set_id


def read_finite(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text[:300])
    json.dumps(answer.json(), allow_nan=False)
    return answer.json()


def check_histogram(histogram: dict[str, Any]) -> None:
    edges = histogram["edges"]
    assert all(low < high for low, high in pairwise(edges))


def run_jobs(settings: Settings, catalog: Catalog, client: TestClient, rows: Array, *, drawn: bool) -> None:
    """Every kind of job on the rows, and every read of its report."""
    try:
        first, second = (import_rows(settings, catalog, rows) for _ in range(2))
    except RadiusError:
        return
    kinds = {
        "radius": [
            partial(measure, set_id=first, radii=[0.0, 1.0, 1e300], k=2),
            *([partial(measure, set_id=first, reference=second, statistics=True)] if SOAK or drawn else []),
            *(
                [partial(measure, set_id=first, statistics=True, **STATISTICS)]
                if SOAK or len(rows) < 6 or drawn
                else []
            ),
        ],
        "energy": [
            partial(evaluate, sets=[first], queries=second, beta=[1e-6, 1.0, 1e6]),
            partial(evaluate, sets=[first, second]),
        ],
    }
    for kind, jobs in kinds.items():
        for at, job in enumerate(jobs):
            try:
                report = job(settings, catalog, insert_job(catalog, {}, kind), drawn=drawn and at == 0)
            except RadiusError:
                continue
            read_report(client, kind, report)


def read_report(client: TestClient, kind: str, report: str) -> None:
    read_finite(client, f"/v1/{kind}/{report}")
    for bins in (1, 60, 1000):
        if kind == "radius":
            for part in read_finite(client, f"/v1/radius/{report}/histogram?bins={bins}")["fractions"]:
                if part["histogram"] is not None:
                    check_histogram(part["histogram"])
        else:
            for of in ("g", "energy", "energy_mchn"):
                check_histogram(read_finite(client, f"/v1/energy/{report}/histogram?of={of}&bins={bins}"))
    if kind == "radius":
        read_finite(client, f"/v1/radius/{report}/quantiles")
        read_finite(client, f"/v1/radius/{report}/neighbors")


SLOW = ("1e149", "1e-149", "neighbouring numbers")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in ROWS]
)
def test_jobs_on_degenerate_rows_publish_or_refuse(settings: Settings, catalog: Catalog, reader: TestClient, name: str):
    run_jobs(settings, catalog, reader, ROWS[name], drawn=name in DRAWN)


@st.composite
def degenerate_rows(draw: st.DrawFn) -> Array:
    n, d = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    values = draw(st.lists(st.sampled_from([0.0, 1.0, 1 + 2.0**-52, 2.0, -1.0]), min_size=n * d, max_size=n * d))
    rows = np.asarray(values).reshape(n, d) * draw(st.sampled_from(MAGNITUDES))
    return rows.astype(draw(st.sampled_from([np.float32, np.float64]))) if np.abs(rows).max() < 1e38 else rows


@pytest.mark.long
@examples(60)
@given(rows=degenerate_rows())
def test_jobs_on_any_degenerate_rows_publish_or_refuse(
    settings: Settings, catalog: Catalog, reader: TestClient, rows: Array
):
    run_jobs(settings, catalog, reader, rows, drawn=False)


def finite_json(*parts: Contract) -> None:
    for part in parts:
        json.dumps(part.model_dump(mode="json"), allow_nan=False)


@given(st.lists(st.one_of(ABOVE_ZERO, st.just(np.inf)), min_size=1, max_size=12))
def test_the_parts_of_a_radius_report_are_finite(distances: list[float]):
    nearest = np.asarray(distances)[:, None]
    found = Neighbors(np.arange(len(nearest)), nearest, np.zeros(nearest.shape, dtype=np.int64), 1.0)
    (report,) = fraction_reports([1.0], [found], [len(nearest)], [None], None)
    finite_json(report)
    if report.histogram is not None:
        check_histogram(report.histogram.model_dump())
        assert sum(report.histogram.counts) == np.isfinite(nearest).sum()
    finite = nearest[np.isfinite(nearest)]
    if len(finite) > 1:
        finite_json(storage_report(finite))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e307, max_value=1e307), min_size=1))
def test_the_spread_of_any_values_is_finite(values: list[float]):
    found = spread(np.asarray(values))
    finite_json(found)
    check_histogram(found.histogram.model_dump())
    assert sum(found.histogram.counts) == len(values)


@given(st.integers(0, 5), st.integers(1, 3), st.data())
def test_counts_within_radii_are_finite(n: int, radii: int, data: st.DataObject):
    counts = np.asarray(data.draw(st.lists(st.integers(0, 9), min_size=n * radii, max_size=n * radii)), dtype=np.int64)
    codes = data.draw(st.one_of(st.none(), st.just(np.zeros(n, dtype=np.int64))))
    finite_json(counts_report([1e300] * radii, counts.reshape(n, radii), codes))


@examples(40)
@given(degenerate_rows())
def test_the_bounds_of_degenerate_rows_hold_or_are_refused(rows: Array):
    try:
        patterns = prepare_patterns(StoredRows(rows))
        found = energies_of(patterns, StoredRows(rows), [1.0, 2.0])
    except InvalidInput:
        return
    finite_json(bounds_report(found))


@given(st.lists(st.tuples(ABOVE_ZERO, ABOVE_ZERO), min_size=1, max_size=6), st.integers(1, 4))
def test_the_global_energy_of_any_distances_is_finite_or_refused(pairs: list[tuple[float, float]], dimension: int):
    layers = [np.asarray(column) for column in zip(*pairs, strict=True)]
    radii = [np.sqrt(layer) for layer in layers]
    try:
        finite_json(global_report(layers, radii, dimension))
    except RadiusError:
        return


def test_the_energies_of_a_polygon_are_published(settings: Settings, catalog: Catalog, tmp_path: Path):
    """Its nearest distances are a few floating-point numbers apart: fewer than a histogram has bins."""
    set_id = import_rows(settings, catalog, ROWS["polygon"])
    assert evaluate(settings, catalog, insert_job(catalog, {}, "energy"), [set_id])
