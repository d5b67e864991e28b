"""A bound that is changed in one place is noticed by a test, but for the listed changes."""

from __future__ import annotations

import pytest

from tests.mutation.accepted import ACCEPTED
from tests.mutation.mutants import ROOT, Mutant
from tests.mutation.running import survives
from tests.mutation.targets import TARGETS, Target

pytestmark = pytest.mark.long


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.module)
def test_no_mutant_survives_but_the_accepted_ones(target: Target):
    name = target.name
    unchanged = Mutant(name, "unchanged", (ROOT / f"{name.replace('.', '/')}.py").read_text())
    assert survives(unchanged, target.tests), "the tests fail, or take too long, on the source as it is"
    accepted = ACCEPTED.get(target.module, {})
    chosen = target.sample()
    assert len(chosen) > 5
    survivors = [mutant.key for mutant in chosen if mutant.key not in accepted and survives(mutant, target.tests)]
    assert survivors == []


def test_accepted_mutants_exist():
    """A changed source makes a listed change meaningless."""
    every = {target.module: {mutant.key for mutant in target.every()} for target in TARGETS}
    gone = {(module, key) for module, keys in ACCEPTED.items() for key in keys if key not in every[module]}
    assert gone == set()
