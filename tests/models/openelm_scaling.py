"""OpenELM's own layer-wise scaling (Mehta et al. 2024), by which the published models check the count of parameters."""

from __future__ import annotations

import numpy as np

from service.theory.openelm_size import OpenELMSizes

_FFN_MULTIPLE = 256
PUBLISHED_VOCABULARY = 32_000  # Llama's tokenizer


def scaled_sizes(
    d_model: int,
    n_layers: int,
    *,
    d_head: int = 64,
    group: int = 4,
    qkv: tuple[float, float] = (0.5, 1.0),
    ffn: tuple[float, float] = (0.5, 4.0),
    d_vocab: int = PUBLISHED_VOCABULARY,
) -> OpenELMSizes:
    """OpenELM's layer-wise scaling: multipliers grow evenly from the first to the last layer, then are rounded.

    Args:
        group: query heads per key-value head.
        qkv: first and last multiplier of the query width, rounded to whole groups of heads.
        ffn: first and last multiplier of the feed-forward width, rounded to multiples of 256.
    """
    queries = [_divisible(d_model * m, d_head * group) // d_head for m in _multipliers(qkv, n_layers)]
    widths = [_divisible(d_model * m, _FFN_MULTIPLE) for m in _multipliers(ffn, n_layers)]
    pairs = tuple(heads // group for heads in queries)
    return OpenELMSizes(d_model, tuple(queries), pairs, tuple(widths), d_head, d_vocab)


def _multipliers(ends: tuple[float, float], n_layers: int) -> list[float]:
    return [round(float(m), 2) for m in np.linspace(ends[0], ends[1], n_layers)]


def _divisible(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, at least one, and never less than 0.9 of it."""
    found = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * value else found
