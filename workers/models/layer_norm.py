"""Sites that are outputs of a LayerNorm, by the family of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.contracts.families import FAMILIES
from service.contracts.sites import FINAL_NORM

_OF_SUMS = ("resid_mid", "resid_post")


def is_layer_norm_output(site: str, layer: int, config: Mapping[str, Any]) -> bool:
    """Whether the vectors at `site` are γ ⊙ z + β with Σ z = 0; an RMSNorm, which does not centre, has none.

    Of pre-norm families, whose residual stream is a sum, only the norm after the last block is a site.

    Args:
        layer: the site's layer, counted from the first block.
        config: the model's, as its identity records it; an unknown family has none.
    """
    family = FAMILIES.get(config.get("family") or config.get("model_type") or "")
    if family is None or family.norm != "LayerNorm":
        return False
    hook = site.rpartition("hook_")[2]
    of_sums = family.norms == "of_sums" and (hook in _OF_SUMS or (hook == "resid_pre" and layer > 0))
    return hook == FINAL_NORM or of_sums
