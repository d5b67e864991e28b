"""What the charts show is what the reports say."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog import training
from service.contracts.radius import RadiusReport
from service.contracts.statistics import Histogram
from service.contracts.training import MetricsRow
from service.dashboard.charts import Chart, Series, density
from service.dashboard.distances import comparison_chart, distance_chart
from service.settings import Settings
from tests.api.products import insert_run, publish_report
from tests.api.support import ONCE, catalog_of, client_of


def test_the_steps_of_a_histogram_have_area_1():
    drawn = density("some", Histogram(edges=[0.0, 1.0, 4.0], counts=[3, 1]))
    assert drawn.y == [0.75, 0.25 / 3]
    assert list(drawn.x) == [0.0, 1.0, 4.0]


def test_a_table_has_every_abscissa_once():
    series = [Series("a", [1, 2], [10.0, 20.0]), Series("b", [2, 3], [None, 30.0])]
    chart = Chart("id", "title", "x", "y", "text", series)
    assert chart.columns == ["x", "a", "b"]
    assert chart.rows == [[1, 10.0, None], [2, 20.0, None], [3, None, 30.0]]


@ONCE
def test_a_reports_chart_has_its_fractions_and_nulls(settings: Settings):
    published = publish_report(settings, statistics=True, fractions=[0.5, 1.0])
    with client_of(settings) as client:
        report = RadiusReport.model_validate(client.get(f"/v1/radius/{published.report}").json())
    chart = distance_chart(report)
    assert chart is not None
    nulls = [null for null in report.null_models or [] if null.histogram is not None]
    assert [series.style for series in chart.series] == ["thin_steps", "area"] + ["outline"] * len(nulls)
    assert chart.payload["series"][0]["x"] == report.fractions[0].histogram.edges  # pyright: ignore
    assert len(comparison_chart([report, report]).series) == 2


@pytest.fixture
def long_run(api: TestClient) -> tuple[TestClient, str, np.ndarray]:
    """A run of 20,000 logged steps whose loss has one spike and one hole."""
    losses = 2 + np.random.default_rng(0).random(20_000)
    losses[[7_777, 15_000]] = 9.0, 0.5
    catalog = catalog_of(api)
    run = insert_run(catalog)
    rows = [
        MetricsRow(step=i, tokens=i, train_loss=loss, val_loss=loss if i % 50 == 0 else None, lr=0.1, grad_norm=1)
        for i, loss in enumerate(losses.tolist(), start=1)
    ]
    with catalog.begin() as connection:
        training.record(connection, run, rows)
    return api, run, losses


@ONCE
def test_a_long_curve_keeps_its_extremes(long_run: tuple[TestClient, str, np.ndarray]):
    api, run, losses = long_run
    rows = api.get(f"/v1/training/{run}/metrics?points=1000").json()["data"]
    assert 500 <= len(rows) <= 1_100
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (1, 20_000)
    assert {7_778, 15_001} <= set(steps)
    assert sum(row["val_loss"] is not None for row in rows) >= 200
    assert all(row["train_loss"] == losses[row["step"] - 1] for row in rows)
    assert len(api.get(f"/v1/training/{run}/metrics?points=1000&limit=3").json()["data"]) == len(rows)
