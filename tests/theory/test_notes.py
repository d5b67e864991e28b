"""Every theory answer says what differs and why, in sentences that name the place in the paper."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from service.theory.balance import balance_theory
from service.theory.ball_bounds import balls_theory
from service.theory.figure1 import figure1_theory
from service.theory.hopfield_capacities import hopfield_capacities_theory
from service.theory.loss import inverse_loss_theory, loss_theory
from service.theory.loss_readings import loss_readings_theory
from service.theory.measured_partition import measured_partition
from service.theory.partition import partition_of_radii_theory, partition_theory
from service.theory.radius import radius_theory
from service.theory.reported_losses import reported_losses_theory
from service.theory.scaling_laws import scaling_laws_theory
from service.theory.stopping_table import stopping_table_theory
from service.theory.transformer_size import transformer_size_theory
from service.theory.unit_partition import unit_partition_theory

ANSWERS = {
    "radius": radius_theory(1024, 80_000),
    "balls": balls_theory(1024, 7.7),
    "partition": partition_theory(1024, 80_000, 7.7),
    "partition of radii": partition_of_radii_theory(64, np.array([1.0, 2.0])),
    "measured partition": measured_partition(64, np.array([[2.0], [2.0]]), np.array([[1], [0]]), complete=False),
    "unit partition": unit_partition_theory(1024, 80_000, None),
    "loss": loss_theory(1.0),
    "inverse loss": inverse_loss_theory(2.2),
    "loss readings": loss_readings_theory(1024, 80_000, 7.7, 256),
    "scaling laws": scaling_laws_theory(1e9, 1e10),
    "gpt2 size": transformer_size_theory("gpt2-medium"),
    "openelm size": transformer_size_theory("openelm-m2"),
    "balance": balance_theory(1024, 80_000),
    "figure 1": figure1_theory(),
    "table 1": hopfield_capacities_theory(),
    "table 2": reported_losses_theory(),
    "table 3": stopping_table_theory(),
}
PLACE = r"(Eq\. \(\d+\)|Prop\. \d|Section \d(\.\d)?|Table \d|Appendix [A-G](\.\d)?|Lemma \d|Display above \(\d+\))"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_answer_has_both_readings_and_notes(answer: dict[str, Any]):
    assert answer["paper_literal"]
    assert answer["corrected"]
    assert answer["notes"]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_note_is_a_sentence_that_begins_with_its_place_in_the_paper(answer: dict[str, Any]):
    for note in answer["notes"]:
        assert re.match(rf"{PLACE}[^:]*: \S.*\.$", note), note
        assert "\n" not in note


def test_table_1_is_corrected_in_two_rows():
    answer = ANSWERS["table 1"]
    printed, corrected = answer["paper_literal"]["rows"], answer["corrected"]["rows"]
    changed = [new["reference"] for old, new in zip(printed, corrected, strict=True) if old != new]
    assert changed == ["Krotov and Hopfield (2016)", "Demircigil et al. (2017)"]
    assert corrected[1]["energy"] == "−Σ_{i=1}^d F(ρ_iᵀx)"
    assert corrected[1]["capacity"] == "Θ(n^{r−1})"
    assert corrected[2]["energy"] == "−Σ_{i=1}^d exp(ρ_iᵀx)"
