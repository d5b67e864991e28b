"""Which sites are outputs of a LayerNorm, by the family of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.contracts.sites import FINAL_NORM

_FINAL = "gpt2"  # pre-norm: the residual stream is a sum, and only the norm after the last block is read
_POST_NORM = "sentence_decoder"  # the residual stream is the output of the norms
_OF_NORMS = ("resid_mid", "resid_post")


def is_layer_norm_output(site: str, layer: int, config: Mapping[str, Any]) -> bool:
    """Whether the vectors at `site` are γ ⊙ z + β with Σ z = 0; an RMSNorm, which does not centre, has none.

    Args:
        layer: of the site, from the first block on.
        config: of the model, as its identity records it; a family that is not known here has none.
    """
    family = config.get("family") or config.get("model_type")
    if family == _FINAL:
        return site == FINAL_NORM
    if family != _POST_NORM:
        return False
    hook = site.rpartition("hook_")[2]
    return hook in (FINAL_NORM, *_OF_NORMS) or (hook == "resid_pre" and layer > 0)
