"""Every rule at its edges; and every small change of a rule is noticed by one of these cases."""

from __future__ import annotations

import ast
import types
from pathlib import Path
from typing import Any

import pytest

from service.contracts.claims import CLAIMS
from service.reproduction import rules
from tests.mutation.mutants import Mutant, mutants_of

R, C, N, S = "reproduced", "contradicted", "not_identifiable", "not_at_this_scale"
CASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("without_violation", (0,), R),
    ("without_violation", (1,), C),
    ("corrected_bound_instead", (0, 0), R),
    ("corrected_bound_instead", (0, 1), R),
    ("corrected_bound_instead", (1, 0), C),
    ("corrected_bound_instead", (1, 1), N),
    ("equal_counts", ([[3, 3, 3], [2, 2, 2]],), R),
    ("equal_counts", ([[3, 3, 3], [2, 1, 2]],), C),
    ("within", ([0.5, -0.5], 0.5), R),
    ("within", ([0.0, 0.51], 0.5), C),
    ("within", ([-0.51], 0.5), C),
    ("every_block_better", ([],), S),
    ("every_block_better", (["better", "better"],), R),
    ("every_block_better", (["better", "worse"],), C),
    ("every_block_better", (["better", "not_told_apart"],), N),
    ("share_above", (None, 0.95), S),
    ("share_above", ((0.951, 0.99), 0.95), R),
    ("share_above", ((0.95, 0.99), 0.95), S),
    ("share_above", ((0.90, 0.95), 0.95), S),
    ("share_above", ((0.90, 0.949), 0.95), C),
    ("stored_share", (0.951, 0.95), R),
    ("stored_share", (0.95, 0.95), C),
    ("every_interval_meets", ([], 18, 22), S),
    ("every_interval_meets", ([(18, 19), None], 18, 22), S),
    ("every_interval_meets", ([(22, 23), (17, 18)], 18, 22), R),
    ("every_interval_meets", ([(19, 20), (22.1, 23)], 18, 22), C),
    ("every_interval_meets", ([(19, 20), (17, 17.9)], 18, 22), C),
    ("every_interval_below_zero", ([],), S),
    ("every_interval_below_zero", ([(-2, -1), None],), S),
    ("every_interval_below_zero", ([(-2, -1), (-3, -0.1)],), R),
    ("every_interval_below_zero", ([(-2, -1), (-3, 0)],), S),
    ("every_interval_below_zero", ([(0, 1)],), S),
    ("every_interval_below_zero", ([(-2, -1), (0.1, 1)],), C),
    ("every_interval_below_zero", ([None, (0.1, 1)],), C),
    ("every_interval_below_zero", ([(0.5, 1), (-2, -1)],), C),
    ("side_of_one", ((0.75, 1.25), 0.25), "within"),
    ("side_of_one", ((0.74, 1.25), 0.25), "across"),
    ("side_of_one", ((0.75, 1.26), 0.25), "across"),
    ("side_of_one", ((0.5, 0.75), 0.25), "across"),
    ("side_of_one", ((0.5, 0.74), 0.25), "below"),
    ("side_of_one", ((1.25, 1.5), 0.25), "across"),
    ("side_of_one", ((1.26, 1.5), 0.25), "above"),
    ("relation_of_scale", ("within", "within", ["above"]), R),
    ("relation_of_scale", ("above", "above", ["within"]), C),
    ("relation_of_scale", ("below", "below", []), C),
    ("relation_of_scale", ("within", "within", ["above", "within"]), N),
    ("relation_of_scale", ("within", "above", []), N),
    ("relation_of_scale", ("above", "below", []), N),
    ("relation_of_scale", ("across", "across", []), S),
    ("never_below", ([(1.5, 0.1)], 1.0, 3.0), R),
    ("never_below", ([(0.75, 0.125), (1.3, 0.0)], 1.25, 4.0), R),
    ("never_below", ([(1.5, 0.1), (0.75, 0.0625)], 1.0, 3.0), C),
    ("never_below", ([(0.5, 0.125)], 1.0, 3.0), C),
    ("exponent_two", (None,), S),
    ("exponent_two", ((1.5, 2),), R),
    ("exponent_two", ((2, 3),), R),
    ("exponent_two", ((1.5, 1.9),), C),
    ("exponent_two", ((2.1, 3),), C),
    ("exponent_two", ((1, 3),), N),
    ("exponent_two", ((0.5, 3),), N),
    ("exponent_two", ((1.01, 2.01),), R),
    ("readings_agree", ([1.75, 2.25], 0.5), R),
    ("readings_agree", ([1.75, 2.26], 0.5), N),
    ("readings_agree", ([2.0, 2.25], 0.5), R),
    ("readings_agree", ([1.75, 2.0], 0.5), R),
    ("readings_agree", ([2.01, 2.25], 0.5), C),
    ("readings_agree", ([1.5, 1.75], 0.5), C),
    ("range_below", ([1.0] * 4,), S),
    ("range_below", ([1.0, 1.0, 1.0, 1.0, 1.24], 0.25), R),
    ("range_below", ([1.0, 1.0, 1.0, 1.0, 1.25], 0.25), C),
    ("range_below", ([1.0, 1.0, 1.0, 1.0, 1.0, 1.3], 0.25), C),
    ("losses_agree", ([1.5], [[1.5]], 1.0, 0.25), R),
    ("losses_agree", ([1.5], [[9.0, 2.0]], 1.0, 0.25), R),
    ("losses_agree", ([2.5], [[2.0]], 1.0, 0.25), R),
    ("losses_agree", ([2.6], [[2.0]], 1.0, 0.25), C),
    ("losses_agree", ([1.4], [[2.0]], 1.0, 0.25), C),
    ("losses_agree", ([1.0], [[1.0]], 1.0, 0.25), C),
    ("losses_agree", ([1.5, 0.9], [[1.5], [0.9]], 1.0, 0.25), C),
    ("losses_agree", ([8.0], [[4.0]], 1.0, 0.75), C),
    ("cells_agree", ([(0.5, 0.75), (0.5, 0.25)], [(2.0, 2.0)], 0.25), R),
    ("cells_agree", ([(0.5, 0.76)], [(2.0, 2.0)], 0.25), C),
    ("cells_agree", ([(0.5, 0.5)], [(2.0, 3.0)], 0.25), C),
    ("cells_agree", ([(0.5, 0.5)], [(2.0, None)], 0.25), C),
    ("cells_agree", ([(0.5, 0.5), (0.5, None)], [], 0.25), S),
    ("same_at_all", ([R, R],), R),
    ("same_at_all", ([C],), C),
    ("same_at_all", ([R, C],), N),
]  # fmt: skip
CASES = [
    (name, (*given, 0.25) if name == "range_below" and len(given) == 1 else given, verdict)
    for name, given, verdict in CASES
]
FUNCTIONS = [
    node.name for node in ast.parse(Path(rules.__file__).read_text()).body if isinstance(node, ast.FunctionDef)
]
# Changes that no numbers can show.
EQUIVALENT = {
    "losses_agree: True → False",  # zip(strict=...) only guards against programming errors
}
MUTANTS = mutants_of("service.reproduction.rules", FUNCTIONS)


@pytest.mark.parametrize(("name", "given", "verdict"), CASES)
def test_a_rule_gives_its_verdict(name: str, given: tuple[Any, ...], verdict: str):
    assert getattr(rules, name)(*given) == verdict


def test_every_rule_has_cases():
    assert {name for name, _, _ in CASES} == set(FUNCTIONS)


def _survives(mutant: Mutant) -> bool:
    module = types.ModuleType("changed_rules")
    exec(compile(mutant.source, "changed_rules", "exec"), module.__dict__)
    for name, given, verdict in CASES:
        try:
            if getattr(module, name)(*given) != verdict:
                return False
        except Exception:
            return False
    return True


def test_a_changed_rule_is_noticed():
    assert len(MUTANTS) > 60
    assert [mutant.key for mutant in MUTANTS if mutant.key not in EQUIVALENT and _survives(mutant)] == []


def test_tolerances_are_those_that_the_report_prints():
    """A moved tolerance changes this table."""
    assert {claim.id: claim.tolerance for claim in CLAIMS} == {
        "E1": 0, "P1": 0, "P2": 0, "P3": 0, "Q12": 1e-6, "Q14": 0.1, "D1": 0, "A2": 0.95, "A3": 0.95, "F1a": 2,
        "F1b": 0, "F1c": 0.3, "F1d": 0, "F1e": 0.05, "F2a": 0.02, "F2b": 3, "F3a": 0.01, "F3b": 0, "F3c": 0.3,
        "G1": 0.01, "G2": 0.01, "T2": 0.05, "AE": 0.01, "U1": 0.005,
    }  # fmt: skip


def test_scales_at_which_claims_are_decided():
    at = {scale: {claim.id for claim in CLAIMS if scale in claim.decided_at} for scale in ("smoke", "small", "paper")}
    assert at["smoke"] == {"E1", "P1", "P2", "P3", "Q12", "Q14", "F1e", "F3c", "G1", "T2", "AE", "U1"}
    assert at["small"] == at["smoke"] | {"D1", "A2", "A3", "F1b", "F1c", "F1d", "F2a", "F2b"}
    assert at["paper"] == {claim.id for claim in CLAIMS}
