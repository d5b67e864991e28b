"""Blocks as a search, eq. (6): planted blocks beside their null models, the verdicts on them, and degenerate sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from service.contracts.descent_report import BlockReport, NullStep
from service.theory import energy as reference
from workers.energy.descent import BlockDescent, measure_block
from workers.energy.null_steps import NULLS, other_rows
from workers.energy.patterns import Patterns, prepare_patterns
from workers.flows.energy import descent_fields
from workers.flows.energy.descent_fields import LayerDecreases, block_report, layer_pairs, overall_verdict
from workers.neighbors.stored import StoredRows
from workers.statistics.documents import Documents
from workers.statistics.estimate import cluster_error

Array = np.ndarray
D = 24


def patterns_of(rows: Array) -> Patterns:
    return prepare_patterns(StoredRows(rows))


def normal(seed: int, n: int = 200) -> Array:
    return np.random.default_rng(seed).normal(size=(n, D))


def measured(places: list[Array], stored: list[Array], block: int = 1, codes: Array | None = None) -> BlockDescent:
    """Block `block` of the rows at x_0 … x_l, among the patterns of its layer: those of layer t are `stored[t − 1]`."""
    codes = np.arange(len(places[0])) if codes is None else codes
    others = other_rows(codes, 0)
    return measure_block(places.__getitem__, len(places) - 1, block, patterns_of(stored[block - 1]), others, seed=0)


def reported(before: Array, after: Array, stored: Array, codes: Array | None = None) -> BlockReport:
    documents = Documents.of(codes, len(before))
    report = block_report(1, None, measured([before, after], [stored], codes=documents.codes), documents)
    json.dumps(report.model_dump(), allow_nan=False)
    return report


def null_of(report: BlockReport, kind: str) -> NullStep:
    (found,) = [null for null in report.nulls or [] if null.kind == kind]
    return found


def towards_nearest(before: Array, stored: Array, share: float = 0.4) -> Array:
    return before + share * (stored[reference.nearest(stored, before)[1]] - before)


def test_a_search_is_nearer_than_every_null():
    before, stored = normal(0), normal(1, 300)
    report = reported(before, towards_nearest(before, stored), stored)
    assert report.verdict == "nearer than every null"
    assert report.block.decrease_share == 1
    assert report.block.cosine == pytest.approx(1)
    assert report.reachable == pytest.approx(report.g_before + report.block.g_change)
    assert overall_verdict([report]) == "1 of 1 blocks bring their points nearer to a pattern than every null: 1."
    for null in report.nulls or []:
        difference = null.block_minus_null
        assert difference.g_decreases.interval is not None
        assert difference.g_decreases.interval[0] > 0
        assert difference.g_change.interval is not None
        assert difference.g_change.interval[1] < 0


def test_a_drift_is_not_distinguished_from_the_mean_step():
    before, drift = normal(2), 3 * np.ones(D)
    report = reported(before, before + drift, normal(3, 300) + drift)
    mean, random = null_of(report, "mean_step"), null_of(report, "random_step")
    assert report.verdict == "not distinguished from mean_step"
    assert report.best_null == "mean_step"
    assert report.block.decrease_share > 0.95
    assert mean.measured.g_decreases.value == report.block.decrease_share
    assert mean.block_minus_null.g_decreases.value == 0
    assert null_of(report, "permuted_step").measured.g_decreases.value == report.block.decrease_share
    assert random.measured.g_decreases.value is not None
    assert random.measured.g_decreases.value < 0.05
    said = overall_verdict([report])
    assert said.startswith("0 of 1 blocks bring their points nearer")
    assert said.endswith("not distinguished from mean_step: 1.")


def test_a_drift_with_each_points_own_noise_is_worse_than_the_mean_step():
    """The noise only leads away from the patterns, which the mean of all steps does not have."""
    before, drift = normal(4), 0.6 * np.ones(D)
    report = reported(before, before + drift + 1.5 * normal(5), normal(6, 300) + drift)
    assert report.verdict == "worse than mean_step"
    assert overall_verdict([report]).endswith("worse than mean_step: 1.")


@pytest.mark.parametrize("seed", range(3))
def test_random_steps_are_no_search(seed: int):
    before = normal(10 + seed)
    report = reported(before, before + normal(20 + seed), normal(30 + seed, 300))
    assert report.verdict is not None
    assert report.verdict != "nearer than every null"


def test_errors_are_by_documents_and_differences_are_paired():
    """Rows of one document are nearly equal: 40 documents say less than 200 rows."""
    codes = np.repeat(np.arange(40), 5)
    before = normal(7, 40)[codes] + 1e-3 * normal(8)
    stored = normal(9, 300)
    after = 0.9 * before + 0.3 * normal(10, 40)[codes]
    report = reported(before, after, stored, codes)
    found = measured([before, after], [stored], codes=codes)
    null = found.nulls["permuted_step"]
    assert null is not None
    own = (found.block.after.g < found.block.before.g).astype(float)
    other = (null.after.g < null.before.g).astype(float)
    documents = Documents.of(codes, 200)
    difference = null_of(report, "permuted_step").block_minus_null.g_decreases
    assert difference.value == pytest.approx((own - other).mean())
    assert difference.standard_error == pytest.approx(cluster_error(own - other, documents))
    assert report.measured is not None
    assert report.measured.g_decreases.standard_error == pytest.approx(cluster_error(own, documents))
    assert cluster_error(own, documents) > 1.5 * cluster_error(own, Documents.of(None, 200))
    change = found.block.after.energy - found.block.before.energy
    assert report.measured.energy_change.value == pytest.approx(change.mean())
    assert report.measured.energy_change.standard_error == pytest.approx(cluster_error(change, documents))


def test_energies_at_the_ends_of_the_nulls_are_the_references():
    before, stored = normal(11, 40), normal(12, 60)
    after = before + 0.5 * normal(13, 40)
    found, steps = measured([before, after], [stored]), after - before
    mean, permuted = before + steps.mean(axis=0), before + steps[other_rows(np.arange(40), 0)]
    for null, ends in ((found.nulls["mean_step"], mean), (found.nulls["permuted_step"], permuted)):
        assert null is not None
        np.testing.assert_allclose(null.after.g, reference.nearest(stored, ends)[0], rtol=1e-9)
        np.testing.assert_allclose(null.after.energy, reference.energy(stored, ends), rtol=1e-9)
        np.testing.assert_array_equal(null.before.g, found.block.before.g)
    np.testing.assert_allclose(found.step_sq, np.square(steps).sum(axis=1))


def test_layer_pairs_are_the_moves_among_the_patterns_of_other_layers():
    places = [normal(14, 60), *(normal(14, 60) + 0.3 * normal(15 + at, 60) for at in range(3))]
    stored = [normal(20 + at, 80) for at in range(3)]
    documents = Documents.of(np.arange(60) // 2, 60)
    layers = [LayerDecreases.of(measured(places, stored, block).places) for block in (1, 2, 3)]
    pairs = layer_pairs(layers, documents)
    assert pairs is not None
    g = np.array([[reference.nearest(rows, points)[0] for points in places] for rows in stored])
    decreases = (g[:, 1:] < g[:, :-1]).astype(float)
    for t, s in np.ndindex(3, 3):
        assert pairs.g_decreases[t][s].value == pytest.approx(decreases[t, s].mean())
        difference = pairs.own_minus_other_g[t][s]
        if t == s:
            assert (difference.value, difference.reason) == (None, descent_fields.OWN_LAYER)
        else:
            assert difference.value == pytest.approx((decreases[s, s] - decreases[t, s]).mean())
            assert difference.standard_error == pytest.approx(
                cluster_error(decreases[s, s] - decreases[t, s], documents)
            )
    assert layer_pairs(layers[:1], documents) is None


def test_one_row_has_no_errors_and_no_verdict():
    report = reported(normal(30, 1), normal(31, 1), normal(32, 5))
    assert (report.verdict, report.verdict_reason) == (None, "fewer than 30 rows")
    permuted = null_of(report, "permuted_step")
    assert (permuted.measured.g_change.value, permuted.measured.g_change.reason) == (None, descent_fields.ONE_POINT)
    assert report.measured is not None
    assert report.measured.g_decreases.value is not None
    assert report.measured.g_decreases.reason == "fewer than 30 rows"
    assert overall_verdict([report]).endswith("no verdict (fewer than 30 rows): 1.")


def test_one_document_has_values_without_errors():
    before, stored = normal(33, 50), normal(34, 60)
    report = reported(before, towards_nearest(before, stored), stored, np.zeros(50))
    assert report.block.decrease_share == 1
    assert (report.verdict, report.verdict_reason) == (None, "all rows are of one document")


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_equal_rows_are_not_distinguished_from_the_mean_step(moved: float):
    """No row differs from another: no error can be computed of the changes, and the shares agree."""
    rows = np.ones((40, D))
    report = reported(rows, rows + moved, rows + 1)
    assert report.verdict == "not distinguished from mean_step"
    assert report.measured is not None
    assert report.measured.g_change.standard_error is None
    assert report.measured.g_change.reason == descent_fields.NO_CHANGE
    assert report.measured.g_decreases.reason is not None
    assert null_of(report, "mean_step").block_minus_null.g_change.reason == descent_fields.NO_CHANGE
    if not moved:
        assert report.block.cosine is None


def test_the_verdict_names_the_first_null_that_is_not_beaten():
    """Beside the best null, which the block is distinguished from, stands one with a wide interval."""
    before, stored = normal(35), normal(36, 300)
    nulls = reported(before, towards_nearest(before, stored), stored).nulls or []

    def null(at: int, share: float, low: float, high: float) -> NullStep:
        known = nulls[at]
        measured = known.measured.g_decreases.model_copy(update={"value": share})
        paired = known.block_minus_null.g_decreases.model_copy(update={"interval": (low, high)})
        parts = {
            "measured": known.measured.model_copy(update={"g_decreases": measured}),
            "block_minus_null": known.block_minus_null.model_copy(update={"g_decreases": paired}),
        }
        return known.model_copy(update=parts)

    verdict = descent_fields.block_verdict([null(0, 0.5, 0.1, 0.2), null(1, 0.4, -0.1, 0.5), null(2, 0.0, 0.2, 0.4)])
    assert (verdict.best, verdict.result) == ("mean_step", "not distinguished from permuted_step")
    verdict = descent_fields.block_verdict([null(0, 0.5, -0.1, 0.2), null(1, 0.6, -0.3, -0.1), null(2, 0.0, 0.2, 0.4)])
    assert (verdict.best, verdict.result) == ("permuted_step", "worse than permuted_step")
    assert descent_fields.block_verdict([]).result is None


def test_progress_is_reported_over_all_places_and_nulls():
    told: list[float] = []
    rows = normal(37, 10)
    measure_block(
        [rows, rows + 1].__getitem__, 1, 1, patterns_of(rows), np.roll(np.arange(10), 1), seed=0, tick=told.append
    )
    assert told == sorted(told)
    assert len(told) == 2 + len(NULLS)
    assert told[-1] == pytest.approx(1)


def test_reports_of_earlier_versions_are_read():
    before, stored = normal(38), normal(39)
    found = reported(before, before + 1, stored).model_dump()
    old = {key: found[key] for key in ("layer", "site", "step_sq", "g_before", "reachable", "block", "random")}
    read = BlockReport.model_validate(old | {"shuffled": found["block"], "shuffled_layer": 2})
    assert (read.nulls, read.verdict, read.shuffled_layer) == (None, None, 2)


def test_a_block_that_does_nothing_has_no_direction():
    rows = normal(40, 20)
    found = measured([rows[:6] + 1, rows[:6] + 1], [rows])
    assert np.isnan(found.block.cosine).all()
    np.testing.assert_array_equal(found.block.after.g, found.block.before.g)
