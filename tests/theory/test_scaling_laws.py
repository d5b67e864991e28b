"""Chinchilla's and Kaplan's laws, and Table 2 beside them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.reported_losses import TABLE_2, reported_losses_theory
from service.theory.scaling_laws import (
    CHINCHILLA,
    CHINCHILLA_BESIROGLU,
    CHINCHILLA_PRINTED,
    KAPLAN_JOINT,
    KAPLAN_SEPARATE,
    Chinchilla,
    Kaplan,
    scaling_laws_theory,
)
from tests.examples import examples

LAWS = [CHINCHILLA_PRINTED, CHINCHILLA, CHINCHILLA_BESIROGLU, KAPLAN_SEPARATE, KAPLAN_JOINT]
# eq. (1) as printed, with E = 1.69, Besiroglu, Kaplan separate, Kaplan joint; N/D² and D/N
REFERENCE = {
    "Transformer": ("2.4403", "2.5203", "2.4709", "2.3745", "2.3125", "3.10e-12", "14.7"),
    "Chinchilla": ("1.8566", "1.9366", "1.9739", "1.7399", "1.6930", "3.57e-14", "20.0"),
    "PaLM 2": ("2.0895", "2.1695", "2.1508", "2.0060", "1.9439", "1.60e-12", "6.2"),
    "GPT-2": ("2.0703", "2.1503", "2.1454", "2.0490", "1.9943", "2.75e-13", "20.5"),
    "MiniCPM": ("2.1837", "2.2637", "2.2552", "2.2402", "2.1847", "1.22e-13", "58.3"),
    "Nanotron": ("2.2797", "2.3597", "2.3463", "2.3572", "2.2997", "1.09e-13", "87.5"),
}


@pytest.mark.parametrize("row", TABLE_2, ids=[row.model for row in TABLE_2])
def test_table_2_is_reproduced_to_every_printed_digit(row):
    losses = [f"{law.loss(row.parameters, row.tokens):.4f}" for law in LAWS]
    ratios = f"{row.parameters / row.tokens**2:.2e}", f"{row.tokens / row.parameters:.1f}"
    assert (*losses, *ratios) == REFERENCE[row.model]


def test_the_answer_for_table_2():
    answer = reported_losses_theory()
    corrected = answer["corrected"]
    ratios = [row["parameters_per_token_squared"] for row in corrected["rows"]]
    assert f"{max(ratios) / min(ratios):.1f}" == "86.8"
    assert (f"{corrected['exponent']:.2f}", f"{corrected['correlation']:.2f}") == ("0.94", "0.80")
    for printed, row in zip(answer["paper_literal"]["rows"], corrected["rows"], strict=True):
        assert f"{printed['chinchilla']:.4f}" == REFERENCE[row["model"]][0]
        assert f"{row['kaplan_joint']:.4f}" == REFERENCE[row["model"]][4]
    chinchilla = answer["paper_literal"]["rows"][1]
    assert chinchilla["loss"] - chinchilla["chinchilla"] == pytest.approx(0.34, abs=0.005)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_how_the_best_size_grows_with_the_data():
    exponents = [law.balance_exponent for law in (CHINCHILLA, CHINCHILLA_BESIROGLU, KAPLAN_JOINT)]
    assert [f"{value:.3f}" for value in exponents] == ["0.824", "1.052", "1.355"]


@examples(200)
@given(n=st.floats(1, 1e29), d=st.floats(1, 1e29), more=st.floats(1.001, 10), law=st.sampled_from(LAWS))
def test_more_parameters_or_data_are_better(n: float, d: float, more: float, law: Chinchilla | Kaplan):
    assert law.loss(n * more, d) <= law.loss(n, d)
    assert law.loss(n, d * more) <= law.loss(n, d)
    assert math.isfinite(law.loss(n, d))
    assert law.loss(n, d) > 0


def test_endless_parameters_and_data_leave_the_irreducible_loss():
    assert CHINCHILLA_PRINTED.loss(1e30, 1e30) == pytest.approx(1.61, abs=1e-5)


def test_kaplans_law_without_a_limit_of_data_is_the_one_in_parameters():
    assert KAPLAN_SEPARATE.loss(1e9, 1e30) == pytest.approx((8.8e13 / 1e9) ** 0.076, rel=1e-12)


@pytest.mark.parametrize("value", [0, -1, 0.5, math.nan, math.inf, 1e31])
@pytest.mark.parametrize("name", ["N", "D"])
def test_counts_out_of_range_are_refused_and_named(name: str, value: float):
    with pytest.raises(InvalidInput, match=rf"^{name} must be from 1 to 1e\+30, not ") as caught:
        scaling_laws_theory(*((value, 1e9) if name == "N" else (1e9, value)))
    assert caught.value.field == name


def test_the_answer_has_its_fields():
    answer = scaling_laws_theory(70e9, 1.4e12)
    assert set(answer["paper_literal"]) == {"chinchilla"}
    assert set(answer["corrected"]) == {"chinchilla", "chinchilla_besiroglu", "kaplan_joint", "kaplan_separate"}
    assert answer["corrected"]["chinchilla"] - answer["paper_literal"]["chinchilla"] == pytest.approx(0.08)
