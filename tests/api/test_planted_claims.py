"""Sets in which a claim holds by construction are judged reproduced, sets in which it fails contradicted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.artifacts.report import EnergyFolder
from service.catalog import energy as energy_catalog
from service.catalog.engine import Catalog
from service.contracts.energy_report import EnergyReport
from service.reproduction.energy_claims import patterns_stored, proposition
from service.reproduction.radius_claims import HeldOut, distance_falls, held_out_covered, radius_near_unit_ball
from service.settings import Settings
from tests.api.products import evaluate, insert_job, own_segment, publish_texts
from tests.api.support import ONCE
from tests.api.test_radius_statistics import report_of
from workers.flows.reproduction.arguments import HeldOutArguments
from workers.flows.reproduction.held_out import measure_held_out
from workers.neighbors.permutation import seeded_permutation

pytestmark = ONCE
Array = np.ndarray
D, PAIRS, SEED = 32, 100, 0
UNIT = 2 * math.sqrt(D / (2 * math.pi * math.e))  # the distance whose half is √(n/2πe)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def paired(distance: float) -> tuple[Array, Array]:
    """Rows of norm √n in pairs at one distance, and their documents: the two of a pair are of different ones.

    The first rows are of documents of the first half by the seed, so that each held-out row has a stored one near it.
    """
    first = normal(1, PAIRS, D)
    first *= math.sqrt(D) / np.linalg.norm(first, axis=1, keepdims=True)
    aside = normal(2, PAIRS, D)
    aside -= (aside * first).sum(axis=1, keepdims=True) * first / D
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    angle = 2 * math.asin(distance / 2 / math.sqrt(D))
    second = math.cos(angle) * first + math.sin(angle) * math.sqrt(D) * aside
    order = np.asarray(seeded_permutation(2 * PAIRS, SEED))
    apart = np.roll(np.arange(PAIRS), 7)  # the rows of a pair have different last tokens
    documents = np.concatenate([order[:PAIRS], order[PAIRS:][apart]])
    return np.concatenate([first, second[apart]]).astype(np.float32), documents


@pytest.mark.parametrize(("distance", "verdict"), [(UNIT, "reproduced"), (0.3 * UNIT, "contradicted")])
def test_radius_about_the_unit_ball(settings: Settings, catalog: Catalog, distance: float, verdict: str):
    """F1c by rows of norm √n, which no null model imitates; and F1b, as most partners are missing in a fraction."""
    rows, documents = paired(distance)
    report = report_of(settings, catalog, rows, documents, fractions=[0.5, 1.0], seed=SEED)
    assert radius_near_unit_ball([report], 0.3).verdict == verdict
    assert distance_falls([report]).verdict == "reproduced"
    turned = [part.model_copy(update={"minus_largest": _turned(part)}) for part in report.fractions]
    assert distance_falls([report.model_copy(update={"fractions": turned})]).verdict == "contradicted"


def _turned(part: Any) -> Any:
    """The paired difference of a sample in which distances grow."""
    found = part.minus_largest
    if found is None:
        return None
    low, high = found.interval
    return found.model_copy(update={"value": -found.value, "interval": (-high, -low)})


def test_radius_that_a_null_model_has_too(settings: Settings, catalog: Catalog):
    rows = normal(3, 120, D)
    report = report_of(settings, catalog, rows, np.arange(120) // 2, fractions=[1.0])
    scaled = report.fractions[-1].nn_distance
    assert scaled is not None
    fitting = rows * (UNIT / scaled.mean)
    report = report_of(settings, catalog, fitting, np.arange(120) // 2, fractions=[1.0])
    assert radius_near_unit_ball([report], 0.3).verdict == "not_identifiable"


@pytest.mark.parametrize(
    ("rows", "verdict"), [(paired(0.2), "reproduced"), ((normal(5, 120, D), np.arange(120)), "contradicted")]
)
def test_held_out_points_in_balls(settings: Settings, catalog: Catalog, rows: tuple[Array, Array], verdict: str):
    job = insert_job(catalog, {})
    made = publish_texts(settings, catalog, rows[0].astype(np.float32), job, [int(code) for code in rows[1]])
    owner = own_segment(settings, catalog, job, "held-out")
    (site,) = measure_held_out(HeldOutArguments(activations=[made], seed=SEED), owner).sites
    assert site.points == site.patterns == len(rows[0]) // 2
    assert held_out_covered([HeldOut(**site.model_dump())], 0.95).verdict == verdict


def energies_of(settings: Settings, catalog: Catalog, rows: Array) -> EnergyReport:
    job = insert_job(catalog, {})
    made = publish_texts(settings, catalog, rows.astype(np.float32), job)
    report_id = evaluate(settings, catalog, job, [made], beta=[1.0])
    with catalog.read() as connection:
        _, sha256 = energy_catalog.get(connection, report_id)
    return EnergyFolder(settings.artifacts_root / report_id, sha256).report()


def test_bounds_and_storage(settings: Settings, catalog: Catalog):
    """Two rows are one pattern for each other, for which Prop. 3 holds; rows of one norm violate it."""
    two = energies_of(settings, catalog, np.array([[3.0, 4.0], [0.0, 1.0]]))
    far = energies_of(settings, catalog, 20 * normal(7, 40, D))
    near = normal(8, 40, D)
    merged = energies_of(settings, catalog, 0.1 * near / np.linalg.norm(near, axis=1, keepdims=True))
    assert [proposition([two], which).verdict for which in (1, 2, 3)] == ["reproduced"] * 3
    assert [proposition([merged], which).verdict for which in (1, 2, 3)] == ["reproduced", "reproduced", "contradicted"]
    assert [proposition([_violating(merged)], which).verdict for which in (1, 2)] == ["contradicted"] * 2
    assert patterns_stored([far], 0.95).verdict == "reproduced"
    assert patterns_stored([merged], 0.95).verdict == "contradicted"
    assert patterns_stored([far, merged], 0.95).verdict == "not_identifiable"


def _violating(report: EnergyReport) -> EnergyReport:
    """The same with one point outside the printed bounds of Props. 1 and 2, which no set has."""
    (layer,) = report.layers
    literal = layer.bounds.paper_literal
    once = {"failed_share": 1 / report.points}
    changed = {name: getattr(literal, name).model_copy(update=once) for name in ("proposition_1", "proposition_2")}
    bounds = layer.bounds.model_copy(update={"paper_literal": literal.model_copy(update=changed)})
    return report.model_copy(update={"layers": [layer.model_copy(update={"bounds": bounds})]})
