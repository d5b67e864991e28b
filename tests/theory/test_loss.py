"""Prop. 4: the loss of a partition function, both partition functions of a loss, and the readings of eq. (15)."""

from __future__ import annotations

import json
import math

import mpmath as mp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.loss import (
    inverse_loss_theory,
    loss_theory,
    per_token,
    proposition_4_loss,
    proposition_4_partitions,
)
from service.theory.loss_readings import density_loss, loss_readings_theory
from service.theory.unit_partition import unit_partition_radius
from tests.examples import examples
from tests.theory import exact

LOGS = [-1e300, -1e6, -710, -709.79, -709.7, -700, -37, -1, -0.5, -1e-3, -1e-8, 0, 1e-8, 1e-3, 0.5, 1, 37, 1e6, 1e300]


@pytest.mark.parametrize("log_partition", LOGS)
def test_the_loss_is_exact(log_partition: float):
    found = proposition_4_loss(log_partition)
    with mp.workdps(700 if log_partition > -1e6 else 40):
        if log_partition < -1e5:
            assert (found.loss, found.log_loss) == (None, -log_partition)
            return
        loss = mp.mpf(log_partition) + mp.exp(-mp.mpf(log_partition))
        assert abs(float(found.log_loss / mp.log(loss) - 1) if log_partition else found.log_loss) <= 4e-16
        assert (found.loss is None) == (loss > 1.7976931348623157e308)
        if found.loss is not None:
            assert abs(float(mp.mpf(found.loss) / loss - 1)) <= 4e-16


def test_the_loss_is_least_at_z_1():
    assert proposition_4_loss(0).loss == 1
    assert all(proposition_4_loss(u).log_loss > 0 for u in (-1, -1e-6, 1e-6, 1))


@pytest.mark.parametrize(
    ("loss", "large", "small"),
    [(2.2, "7.9595", "0.29124"), (2.5, "11.136", "0.25992"), (1.69, "4.2934", "0.37407"), (1.61, "3.8614", "0.39315")],
)
def test_the_inverse_has_both_branches_of_the_reference(loss: float, large: str, small: str):
    low, high = (math.exp(u) for u in proposition_4_partitions(loss))
    assert (f"{high:.5g}", f"{low:.5g}") == (large, small)


@examples(400)
@given(
    loss=st.one_of(st.floats(1, 3), st.floats(0, 690).map(math.exp), st.floats(0, 50).map(lambda x: 1 + math.exp(-x)))
)
@example(1.0)
@example(math.nextafter(1, 2))
@example(1e300)
def test_the_inverse_is_exact(loss: float):
    small, large = proposition_4_partitions(loss)
    assert small <= 0 <= large
    with mp.workdps(50):
        for u in (small, large):
            slope = abs(mp.expm1(-mp.mpf(u)))
            residue = mp.mpf(u) + mp.exp(-mp.mpf(u)) - mp.mpf(loss)
            assert abs(residue) <= slope * abs(mp.mpf(u)) * mp.mpf("1e-14")


@examples(200)
@given(loss=st.floats(1, 1e6), more=st.floats(1e-9, 10))
def test_a_larger_loss_has_its_partition_functions_farther_apart(loss: float, more: float):
    (low, high), (lower, higher) = proposition_4_partitions(loss), proposition_4_partitions(loss * (1 + more))
    assert lower < low
    assert high < higher


@pytest.mark.parametrize("loss", [0.999, 0, -1, math.nan, math.inf, 1e301])
def test_a_loss_below_1_has_no_partition_function(loss: float):
    with pytest.raises(InvalidInput, match=r"loss must be from 1 .* not ") as caught:
        proposition_4_partitions(loss)
    assert caught.value.field == "loss"


@pytest.mark.parametrize("log_partition", [math.nan, math.inf, -math.inf, 2e300])
def test_a_partition_function_that_is_no_number_is_refused(log_partition: float):
    with pytest.raises(InvalidInput) as caught:
        proposition_4_loss(log_partition)
    assert caught.value.field == "log_partition"


@pytest.mark.parametrize("log_partition", LOGS)
def test_the_answer_is_plain_json(log_partition: float):
    answer = loss_theory(log_partition)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert set(answer["paper_literal"]) == {"loss", "log_loss", "log_partition"}
    assert answer["corrected"] == {"loss": log_partition}


@pytest.mark.parametrize("loss", [1, 1.61, 800, 1e300])
def test_the_inverse_answer_has_lists(loss: float):
    answer = inverse_loss_theory(loss)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["paper_literal"]["log_partition"] == list(proposition_4_partitions(loss))
    assert answer["corrected"]["loss"] == answer["paper_literal"]["log_partition"]


def test_per_pattern_and_per_token():
    found = per_token(2.2 * 1024, 1024)
    assert found.nats == pytest.approx(2.2, rel=1e-15)
    assert found.bits == pytest.approx(2.2 * 1.442695, rel=1e-7)
    assert found.perplexity == pytest.approx(math.exp(2.2), rel=1e-14)
    assert f"{per_token(1.0, 1024).nats:.5f}" == "0.00098"
    assert per_token(1e6, 1).perplexity is None
    for tokens in (0, -5):
        with pytest.raises(InvalidInput, match="tokens"):
            per_token(1.0, tokens)


@pytest.mark.parametrize(("n", "loss"), [(1024, "70.004"), (256, "18.49"), (64, "5.53"), (16, "1.94"), (2, "0.359")])
def test_the_literal_loss_of_one_ball_with_z_1_is_the_references(n: int, loss: str):
    found = density_loss(n, 1, unit_partition_radius(n, 1))
    assert f"{found.loss:.{len(loss.split('.')[1])}f}" == loss


CASES = [(1, 1, 0.01), (2, 3, 0.7), (2, 1, 1e-4), (3, 1, 9.0), (3, 1, 30.0), (16, 1, 0.5), (64, 5, 2.5),
         (1024, 1, 8.0), (1024, 80_000, 7.743), (1024, 80_000, 8.19)]  # fmt: skip


@pytest.mark.parametrize(("n", "d", "r"), CASES)
def test_the_literal_loss_is_exact(n: int, d: int, r: float):
    found, true = density_loss(n, d, r), exact.density_loss(n, d, r)
    assert found.loss is not None
    assert abs(float(found.loss - true)) <= 1e-12 * max(1, abs(float(true)))


@examples(200)
@given(n=st.integers(1, 2**20), d=st.integers(1, 10**6), scale=st.floats(-300, 300))
def test_the_literal_loss_is_between_its_bounds(n: int, d: int, scale: float):
    found = density_loss(n, d, min(1e150, max(1e-150, math.sqrt(n / 17) * math.exp(scale))))
    assert math.isfinite(found.lower)
    if found.loss is not None and found.upper is not None:
        rounding = 1e-12 * max(1, abs(found.lower), abs(found.upper))
        assert found.lower - rounding <= found.loss <= found.upper + rounding
        assert (found.log_loss is None) == (found.loss <= 0)
    else:
        assert found.log_loss is not None
        assert found.log_loss > 600


def test_the_readings_of_one_case():
    answer = loss_readings_theory(1024, 80_000, 8.21, 256)
    corrected = answer["corrected"]
    assert corrected["loss"] == corrected["log_partition"]
    assert corrected["per_token"]["nats"] == corrected["loss"] / 256
    assert corrected["proposition_4"]["loss"] == proposition_4_loss(corrected["loss"]).loss
    assert corrected["density"]["loss"] > 60
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
