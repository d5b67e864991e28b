"""Radius options that mean nothing together."""

from __future__ import annotations

from typing import Any

import pytest

from service.contracts.radius import RadiusSpec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"statistics": True, "engine": "faiss-ivf"}, "statistics need exact neighbours"),
        ({"extrapolate_to": [100]}, "extrapolate_to needs statistics"),
        ({"transform": "log"}, "transform"),
        ({"transform": [], "statistics": True}, "transform"),
        ({"transform": "whiten", "reference": "act-2"}, "transform has no meaning with a reference"),
        ({"split": "documents", "reference": "act-2"}, "split has no meaning with a reference"),
        ({"split": "rows"}, "split"),
    ],
)
def test_a_spec_that_means_nothing_is_refused(spec: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        RadiusSpec.model_validate({"activations": "act-1"} | spec)


def test_one_transform_or_a_list():
    one, several = (
        RadiusSpec.model_validate({"activations": "act-1", "transform": given})
        for given in ("whiten", ["none", "unit_norm", "unit_norm", "without_top:3"])
    )
    assert (one.transforms, several.transforms) == (["whiten"], ["unit_norm", "without_top:3"])
