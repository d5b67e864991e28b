"""A sample of rows for a measurement or an estimate of where they lie."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_STEP = (math.sqrt(5) - 1) / 2  # the fraction that is approximated worst by ratios of small integers


def spread(ids: Tensor, count: int) -> Tensor:
    """About `count` of (n,) ids, all of them where there are no more, in their order.

    They are spread evenly over the whole, and have no period: equal steps would take one position of every chunk where
    a step is a multiple of a chunk's length. Place i is ⌊n · frac(i (√5 − 1) / 2)⌋.
    """
    if len(ids) <= count:
        return ids
    fractions = torch.arange(count, dtype=torch.float64).mul_(_STEP).frac_()
    places = torch.unique((fractions * len(ids)).long())
    return ids[places.to(ids.device)]
