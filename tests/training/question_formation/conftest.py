from __future__ import annotations

import pytest

from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.splits import Splits, SplitSizes, generate


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    return Grammar()


@pytest.fixture(scope="session")
def published_size(grammar: Grammar) -> Splits:
    """100,000 / 1,000 / 10,000 / 10,000 lines."""
    return generate(grammar, SplitSizes(), seed=0)


@pytest.fixture(scope="session")
def small(grammar: Grammar) -> Splits:
    return generate(grammar, SplitSizes(train=2_000, val=100, test=300, gen=300), seed=0)
