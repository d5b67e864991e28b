"""Sentences of reports: each says what the numbers beside it say."""

# No database: text made from reports.
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.commands import energies as printed
from service.contracts.energy_report import BlockReport, Curvature, LayerEnergies
from service.theory import figure1
from service.theory.ball_bounds import balls_theory
from service.theory.measured_partition import measured_partition
from workers.energy.weights import Curvatures
from workers.flows.energy.descent import verdict
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


def block(number: int, own: float, shuffled: float | None, random: float, cosine: float | None) -> BlockReport:
    def move(share: float) -> dict[str, Any]:
        return {"decrease_share": share, "g_change": 0.0, "energy_change": 0.0, "same_nearest_share": 1.0}

    summary = dict.fromkeys(("mean", "median", "std", "min", "max"), 1.0) | {"quantiles": {}}
    moves = {"block": move(own) | {"cosine": cosine}, "random": move(random) | {"cosine": None}}
    moves |= {"shuffled": None if shuffled is None else move(shuffled) | {"cosine": 0.0}}
    known = {"layer": number, "site": None, "step_sq": summary, "g_before": 1.0, "reachable": 0.5}
    return BlockReport.model_validate(known | moves | {"shuffled_layer": None})


def test_blocks_search_where_they_decrease_g_more_than_both_nulls_along_a_positive_cosine():
    searching, beaten = block(1, 0.9, 0.5, 0.1, 0.2), block(2, 0.5, 0.5, 0.1, 0.2)
    backwards, undirected = block(3, 0.9, None, 0.1, -0.2), block(4, 0.9, None, 0.1, None)
    assert verdict([searching, beaten, backwards, undirected]) == "By this 1 of 4 blocks search: 1."
    assert verdict([beaten]) == "By this 0 of 1 blocks search."
    assert verdict([searching, block(2, 0.9, None, 0.1, 0.2)]) == "By this 2 of 2 blocks search: 1, 2."


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
