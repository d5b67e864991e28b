"""When a set that was made with or without a loss is what a job asks for."""

from __future__ import annotations

import pytest

from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec

SPEC = {"model": "m", "corpus": "c"}


@pytest.mark.parametrize(
    ("asked", "made", "served"),
    [
        ({"loss": False}, True, True),
        ({"loss": False}, False, True),
        ({"loss": True}, True, True),
        ({"loss": True}, False, False),
        ({"loss": False, "position": "all"}, True, True),
        ({"loss": False, "position": 3}, True, False),
        ({"loss": True, "position": 3}, True, True),
    ],
)
def test_a_set_with_a_loss_serves_a_job_without_one(asked: dict[str, object], made: bool, served: bool):
    assert ExtractionSpec.model_validate(SPEC | asked).is_served_with(loss=made) is served


def test_one_token_has_no_next_one():
    with pytest.raises(ValueError, match="two tokens or more"):
        AnalysisSpec.model_validate(SPEC | {"loss": True, "chunk_tokens": 1})
