"""Configurations of OpenELM models for tests: the paper's, with other readings of its tables, and small ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from service.theory.openelm_size import OPENELM, OpenELMSizes
from tests.models.openelm_scaling import scaled_sizes
from workers.models.openelm_config import OpenELMConfig


def trainable(sizes: OpenELMSizes, **options: Any) -> OpenELMConfig:
    """The sizes with options of `OpenELMConfig`."""
    return OpenELMConfig(**(asdict(sizes) | options))


_M1, _M2, _M3 = (trainable(OPENELM[f"openelm-{name}"].config) for name in ("m1", "m2", "m3"))

# The printed width 1280 of model 2 has the printed N with no widths in multiples of 256; with the heads printed for
# model 3, the multipliers 0.75 to 1.80 of the two other models give model 2 its N as well.
PAPER: dict[str, OpenELMConfig] = {
    "m1": _M1,
    "m1-padded": replace(_M1, width_multiple=64),
    "m2": _M2,
    "m2-heads-b": replace(
        _M2,
        query_heads=_M3.query_heads,
        kv_heads=_M3.kv_heads,
        d_mlp=(1024, 1024, 1280, 1536, 1536, 1792, 2048, 2304),
    ),
    "m2-printed": replace(_M2, d_model=1280, d_mlp=(1497,) * 8),
    "m3": _M3,
}

_NO_DROPOUT: dict[str, Any] = {"attention_dropout": 0.0, "embedding_dropout": 0.0}
# 14.7 M parameters, 12.9 M of them in the embedding of the full vocabulary.
SMALL = trainable(scaled_sizes(256, 4, group=2, ffn=(0.75, 1.8), d_vocab=50_257), n_ctx=256, **_NO_DROPOUT)
TINY = OpenELMConfig(32, (2, 4), (1, 2), (64, 96), d_head=8, d_vocab=300, n_ctx=64, **_NO_DROPOUT)
