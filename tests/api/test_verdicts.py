"""Sentences of reports: each says what the numbers beside it say."""

# No database: text made from reports.
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.commands import energies as printed
from service.commands.descent import _verdict_line
from service.contracts.descent_report import BlockReport, BlockVerdict, NullStep
from service.contracts.energy_report import Curvature, LayerEnergies
from service.theory import figure1
from service.theory.ball_bounds import balls_theory
from service.theory.measured_partition import measured_partition
from workers.energy.curvature import Curvatures
from workers.flows.energy.descent_fields import overall_verdict
from workers.flows.energy.fields import curvature_report


def curvature(values: list[float], rounding: float = 0.0) -> Curvature:
    found = Curvatures(np.asarray(values), np.full(len(values), rounding))
    return curvature_report("energy", 1.0, "midpoints", found)


@pytest.mark.parametrize(
    ("values", "rounding", "said"),
    [
        ([1.916, 2.0], 0.0, "nothing found against E being convex: smallest Hessian eigenvalue 1.916 (β = 1) half-way "
         "between neighbours, not below 0 at any of 2 points"),
        ([-7.0, 2.0, 1.0, -1.0], 1e-9, "E is not convex: smallest Hessian eigenvalue -7 (β = 1) half-way between "
         "neighbours, below 0 at 50.0% of 4 points"),
        ([-7.0, 2.0], 9.0, "whether E is convex is not decided: smallest Hessian eigenvalue -7 (β = 1) half-way "
         "between neighbours, which rounding may have moved by 9"),
    ],
)  # fmt: skip
def test_convexity_is_what_the_eigenvalues_prove(values: list[float], rounding: float, said: str):
    assert printed._curvature_line(curvature(values, rounding)) == said


def layer(failed: float, parts: list[Curvature]) -> LayerEnergies:
    held = {"lower": -1.0, "upper": 0.0, "failed_share": failed}
    propositions = {f"proposition_{number}": held for number in (1, 2, 3)}
    names = ("energy_minus_g", "energy_minus_shifted_mchn", "g_minus_twice_mchn")
    bounds = {"patterns": 3, "spread": 1.0, "paper_literal": propositions, "corrected": propositions, "notes": []}
    bounds |= {"measured": {name: [-0.5, 0.0] for name in names}}
    summary = dict.fromkeys(("mean", "median", "std", "min", "max"), 1.0) | {"quantiles": {}}
    spread = {"distribution": summary, "histogram": {"edges": [0.0, 1.0], "counts": [1]}}
    known: dict[str, Any] = {"activations": "act-1", "site": None, "name": "a set", "n": 3, "d_model": 2, "patterns": 3}
    known |= {"left_out": None, "g": spread, "energies": [], "bounds": bounds, "storage": None, "basins": None}
    return LayerEnergies.model_validate(known | {"curvature": [part.model_dump() for part in parts]})


def test_proposition_1_holds_where_its_share_of_failures_is_0():
    assert printed._layer_lines(layer(0.0, [])) == [
        "E − g from -0.5 to 0; Prop. 1 allows -1 to 0 and holds at all points"
    ]
    assert printed._layer_lines(layer(0.25, []))[0].endswith("fails at 25.0% of the points")
    _, second = printed._layer_lines(layer(0.0, [curvature([1.9]), curvature([-1.0])]))
    assert second.startswith("nothing found")  # of the first β


def block(number: int, verdict: BlockVerdict | None, reason: str | None = None) -> BlockReport:
    summary = dict.fromkeys(("mean", "median", "std", "min", "max"), 1.0) | {"quantiles": {}}
    move = {"decrease_share": 0.5, "g_change": 0.0, "energy_change": 0.0, "cosine": None, "same_nearest_share": 1.0}
    known = {"layer": number, "site": None, "step_sq": summary, "g_before": 1.0, "reachable": 0.5}
    known |= {"block": move, "random": move, "verdict": verdict, "verdict_reason": reason}
    return BlockReport.model_validate(known)


def test_what_is_said_of_all_blocks_is_counted_from_the_verdicts_of_each():
    nearer, drift = block(1, "nearer than every null"), block(2, "not distinguished from mean_step")
    worse, small = block(3, "worse than permuted_step"), block(4, None, "fewer than 30 rows")
    first = "1 of 5 blocks bring their points nearer to a pattern than every null: 1; "
    others = "no verdict (fewer than 30 rows): 4; not distinguished from mean_step: 2, 5; worse than permuted_step: 3."
    assert overall_verdict([nearer, drift, worse, small, drift.model_copy(update={"layer": 5})]) == first + others
    assert overall_verdict([nearer]) == "1 of 1 blocks bring their points nearer to a pattern than every null: 1."
    none = "0 of 1 blocks bring their points nearer to a pattern than every null; not distinguished from mean_step: 2."
    assert overall_verdict([drift]) == none


def test_the_line_of_a_block_has_its_verdict_and_the_difference_from_the_best_null():
    assert _verdict_line(block(4, None, "fewer than 30 rows")) == "block 4: no verdict, fewer than 30 rows"
    known = {"value": 0.2, "standard_error": 0.02, "interval": (0.16, 0.24)}
    steps = dict.fromkeys(("g_decreases", "energy_decreases", "g_change", "energy_change"), known)
    null = NullStep.model_validate({"kind": "mean_step", "measured": steps, "block_minus_null": steps})
    found = block(1, "nearer than every null").model_copy(update={"nulls": [null], "best_null": "mean_step"})
    assert _verdict_line(found) == (
        "block 1: nearer than every null; share minus that of mean_step: +0.200 ± 0.040"
    )  # fmt: skip


def test_the_notes_of_fig_1_count_what_was_found():
    notes = figure1.figure1_theory()["notes"]
    assert "in two dimensions E -11.75, E_MCHN at β = 1 -2.923" in notes[0]
    assert "on −2, 0, 1 E two, E_MCHN at β = 1 one, E_MCHN at β = 2 two" in notes[1]
    assert "do not resemble" in notes[1]
    alike = figure1.figure1_theory()["corrected"]
    for part in alike.values():
        for landscape in part["landscapes"]:
            landscape |= {"minima": part["patterns"], "smallest_curvature": 0.5}
    assert "not shown not to be convex: E, E_MCHN at β = 1, E_MCHN at β = 2" in figure1._convexity_note(alike)
    assert "as many attractors each" in figure1._resemblance_note(alike)
    assert figure1._merging_notes(alike) == []


def test_bounds_of_a_ball_are_said_by_their_widths():
    (said,) = [note for note in balls_theory(100, 3.0)["notes"] if "Jensen" in note]
    assert "enclose the integral within 0.0177 nats, those of Lemma 5 within 9." in said


def test_no_overlap_at_the_mean_radius_is_said_so():
    distances, neighbors = np.array([[1.0], [1.0]]), np.array([[1], [0]])
    notes = measured_partition(2, distances, neighbors, complete=True)["notes"]
    assert any(note.endswith("no row's nearest neighbour is so near that its ball overlaps another.") for note in notes)
