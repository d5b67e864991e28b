"""Energy reports, published by the product's own code and read over REST."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.settings import Settings
from service.theory import energy
from service.theory.energy_global import energy_global
from tests.api.products import evaluate, insert_job, publish_texts
from tests.api.support import ONCE
from tests.api.test_degenerate_reports import import_rows
from tests.databases.soak import first

pytestmark = ONCE

Array = np.ndarray
D = 5


def vectors_of(seed: int, n: int = 60) -> Array:
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


def published(settings: Settings, catalog: Catalog, layers: list[Array], **options: Any) -> str:
    job_id = insert_job(catalog, {}, "energy")
    sets = [publish_texts(settings, catalog, rows, job_id, position=at) for at, rows in enumerate(layers)]
    return evaluate(settings, catalog, job_id, sets, **options)


def report_of(api: TestClient, report_id: str) -> dict[str, Any]:
    answer = api.get(f"/v1/energy/{report_id}")
    assert answer.status_code == 200, answer.text
    json.dumps(answer.json(), allow_nan=False)
    return answer.json()


def leave_one_out(rows: Array, beta: float) -> tuple[Array, Array, Array]:
    """g, E and E_MCHN of each row among the others."""
    wide, found = rows.astype(np.float64), []
    for at in range(len(wide)):
        others = np.delete(wide, at, axis=0)
        g, _ = energy.nearest(others, wide[at : at + 1])
        found.append((g[0], *(f(others, wide[at : at + 1], beta)[0] for f in (energy.energy, energy.energy_mchn))))
    return tuple(np.array(column) for column in zip(*found, strict=True))  # pyright: ignore


def test_rows_are_left_out_themselves(settings: Settings, catalog: Catalog, api: TestClient):
    rows = vectors_of(0)
    report = report_of(api, published(settings, catalog, [rows], beta=[0.5, 1.0]))
    (layer,) = report["layers"]
    assert (layer["left_out"], layer["patterns"], report["points"]) == ("self", 59, 60)
    for part in layer["energies"]:
        g, whole, mchn = leave_one_out(rows, part["beta"])
        assert layer["g"]["distribution"]["mean"] == pytest.approx(g.mean(), rel=1e-9)
        assert part["energy"]["distribution"]["mean"] == pytest.approx(whole.mean(), rel=1e-6)
        assert part["energy_mchn"]["distribution"]["min"] == pytest.approx(mchn.min(), rel=1e-6)
        assert sum(part["energy"]["histogram"]["counts"]) == 60
    bounds = layer["bounds"]
    assert bounds["corrected"]["proposition_1"]["failed_share"] == 0
    assert bounds["corrected"]["proposition_2"]["failed_share"] == 0
    assert bounds["corrected"]["proposition_3"]["failed_share"] == 0
    assert bounds["paper_literal"]["proposition_3"]["failed_share"] > 0
    assert {notice["code"] for notice in report["warnings"]} == {"printed_bound_fails"}
    assert report["energy_global"] is None
    assert report["descent"] is None
    assert any(part["negative_share"] > 0 for part in layer["curvature"] if part["where"] == "midpoints")


def test_points_of_another_set(settings: Settings, catalog: Catalog, api: TestClient):
    rows, points = vectors_of(1), vectors_of(2, 30)
    other = publish_texts(settings, catalog, points, insert_job(catalog, {}))
    report = report_of(api, published(settings, catalog, [rows], queries=other, sample=20))
    (layer,) = report["layers"]
    assert (layer["left_out"], layer["patterns"], report["points"]) == (None, 60, 20)
    g, _ = energy.nearest(rows.astype(np.float64), points.astype(np.float64))
    assert layer["g"]["distribution"]["max"] <= g.max() * (1 + 1e-12)


def test_layers_have_a_global_energy_and_a_descent(settings: Settings, catalog: Catalog, api: TestClient):
    first = vectors_of(3)
    layers = [first, first + 0.1 * vectors_of(4), first + 0.2 * vectors_of(5)]
    report = report_of(api, published(settings, catalog, layers))
    over = report["energy_global"]
    assert over["layers"] == 3
    expected = energy_global(np.stack([_held_out(rows, layers[-1]) for rows in layers]))
    corrected = over["corrected"]
    assert corrected["energy_global"]["distribution"]["mean"] == pytest.approx(expected.energy.mean(), rel=1e-9)
    assert corrected["gap_min"] == pytest.approx(expected.gap.min(), abs=1e-9)
    assert corrected["gap_max"] <= over["log_layers"]
    assert corrected["failed_share"] == 0
    assert sum(corrected["layer_share"]) == pytest.approx(1)
    assert len(over["paper_literal"]["log_layer_energy"]) == 3
    blocks = report["descent"]["blocks"]
    assert [block["layer"] for block in blocks] == [1, 2]
    assert report["descent"]["patterns"] + report["descent"]["points"] == 60
    for block in blocks:
        assert block["reachable"] <= block["g_before"]
        assert 0 <= block["block"]["decrease_share"] <= 1
        assert [null["kind"] for null in block["nulls"]] == ["mean_step", "permuted_step", "random_step"]
        assert block["measured"]["g_decreases"]["value"] == block["block"]["decrease_share"]
        assert block["nulls"][2]["measured"]["g_decreases"]["value"] == block["random"]["decrease_share"]
        assert block["verdict"] is not None
    _check_layer_pairs(report["descent"])


def _check_layer_pairs(descent: dict[str, Any]) -> None:
    """The diagonal is the blocks' own shares; errors are by the points' documents, here a row each."""
    pairs, own = descent["layer_pairs"], [block["block"]["decrease_share"] for block in descent["blocks"]]
    assert [pairs["g_decreases"][at][at]["value"] for at in range(2)] == own
    assert pairs["own_minus_other_energy"][0][0]["value"] is None
    assert pairs["own_minus_other_g"][0][1]["interval"] is not None
    assert (descent["documents"], descent["rows_are_documents"]) == (30, False)
    assert descent["verdict"] == descent["notes"][-1]
    assert descent["verdict"].startswith("0 of 2 blocks")


def test_rows_of_one_document_have_no_descent(settings: Settings, catalog: Catalog, api: TestClient):
    job_id, rows = insert_job(catalog, {}, "energy"), vectors_of(7)
    sets = [publish_texts(settings, catalog, rows + at, job_id, [0] * 60, position=at) for at in range(2)]
    report = report_of(api, evaluate(settings, catalog, job_id, sets))
    assert report["descent"] is None
    assert report["descent_reason"].startswith("all rows are of one document")


@pytest.mark.parametrize("n", first(2, [2, 80, 3]))
def test_imported_rows_are_documents_of_their_own(settings: Settings, catalog: Catalog, api: TestClient, n: int):
    job_id, rows = insert_job(catalog, {}, "energy"), vectors_of(8, n)
    sets = [import_rows(settings, catalog, rows + at) for at in range(2)]
    descent = report_of(api, evaluate(settings, catalog, job_id, sets, drawn=n == 2))["descent"]
    (block,) = descent["blocks"]
    assert (descent["documents"], descent["rows_are_documents"]) == (descent["points"], True)
    assert any("each row counts as one" in note for note in descent["notes"])
    assert descent["layer_pairs"] is None
    known = n == 80
    assert block["verdict"] == ("not distinguished from mean_step" if known else None)
    assert block["verdict_reason"] == (None if known else "fewer than 30 rows")


def _held_out(rows: Array, points: Array) -> Array:
    """Squared distance of each point to the nearest row but that of its own number."""
    gaps = np.linalg.norm(points[:, None].astype(np.float64) - rows[None].astype(np.float64), axis=2) ** 2
    np.fill_diagonal(gaps, np.inf)
    return gaps.min(axis=1)


def test_listing_histogram_and_figure(settings: Settings, catalog: Catalog, api: TestClient):
    rows = vectors_of(6)
    report_id = published(settings, catalog, [rows], beta=[2.0], drawn=True)
    (row,) = api.get("/v1/energy").json()["data"]
    assert (row["id"], row["points"], row["d_model"]) == (report_id, 60, D)
    for query in ("of=g", "of=energy&beta=2", "of=energy_mchn&bins=7", "of=energy&beta=1"):
        found = api.get(f"/v1/energy/{report_id}/histogram?{query}")
        assert found.status_code == 200, found.text
        assert sum(found.json()["counts"]) == 60
    assert api.get(f"/v1/energy/{report_id}/histogram?layer=1").status_code == 404
    assert api.get(f"/v1/energy/{report_id}/histogram?beta=3").status_code == 404
    for ending, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert api.get(f"/v1/energy/{report_id}/figure.{ending}").content.startswith(magic)
    assert api.get("/v1/energy/energy-none").status_code == 404


def test_duplicates_and_equal_rows(settings: Settings, catalog: Catalog, api: TestClient):
    report = report_of(api, published(settings, catalog, [np.ones((8, D), dtype=np.float32)]))
    (layer,) = report["layers"]
    assert layer["g"]["distribution"]["max"] == 0
    assert layer["energies"][0]["energy"]["distribution"]["mean"] == pytest.approx(-np.log(7), rel=1e-6)
    assert layer["storage"]["certified_share"] == 0
    assert layer["basins"] is None
