"""Running Σ_i exp(−β (v_i − min v)) over tiles of values: one pass, nothing overflows, tiles summed in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workers.energy.patterns import BLOCK, beta_in_range

LEFT_OUT = {torch.float32: 18.0, torch.float64: 40.0}  # −log of the share of a sum that may be left out
_LEAST_EXPONENT = -80.0
_DENSE_SHARE = 0.2


class SoftMinima:
    """Shifted sums of q queries at several β over the same values.

    Attributes:
        betas: as given; `used`: as the precision of the values can hold them, which the sums are of.
        used_here: (len(betas),) the latter on the device, in that precision.
        least: (q,) the smallest value so far, in that precision.
        sums: (len(betas), q) float64.
    """

    def __init__(self, queries: int, betas: Sequence[float], like: Tensor, patterns: int) -> None:
        self.betas = list(betas)
        self.used = [beta_in_range(beta, like.dtype) for beta in self.betas]
        self.used_here = torch.tensor(self.used or [1.0], dtype=like.dtype).to(like.device)
        self.least = torch.full((queries,), torch.inf, dtype=like.dtype, device=like.device)
        self.sums = torch.zeros((len(betas), queries), dtype=torch.float64, device=like.device)
        self._cutoff = cutoff(like.dtype, patterns)

    def add(self, values: Tensor, minima: Tensor, scratch: Tensor) -> None:
        """Add a tile.

        Args:
            values: (q, P) with P a multiple of `BLOCK`.
            minima: (q, P / BLOCK) of the blocks; a block whose values are too large to matter is skipped.
            scratch: like `values`; written over.
        """
        before, self.least = self.least, torch.minimum(self.least, minima.amin(dim=1))
        drop = torch.where(before > self.least, before - self.least, 0.0).double()
        height = minima - self.least[:, None]
        for at, beta in enumerate(self.used):
            self.sums[at] *= torch.exp(-beta * drop)
            counting = height <= self._cutoff / beta
            # On a GPU the host would wait for the share, and a whole tile takes little longer than few of its blocks.
            if values.device.type != "cpu" or int(counting.sum()) > _DENSE_SHARE * counting.numel():
                weights = _weights(torch.sub(self.least[:, None], values, out=scratch), beta)
                self.sums[at] += weights.view(len(values), -1, BLOCK).sum(dim=2).sum(dim=1, dtype=torch.float64)
                continue
            query, block = torch.nonzero(counting, as_tuple=True)
            near = values.view(len(values), -1, BLOCK)[query, block]
            parts = _weights(torch.sub(self.least[query][:, None], near), beta).sum(dim=1)
            self.sums[at].index_add_(0, query, parts.double())


def cutoff(precision: torch.dtype, patterns: int) -> float:
    """β times the difference to the smallest value beyond which patterns may be left out."""
    return LEFT_OUT[precision] + math.log(patterns)


def _weights(negated: Tensor, beta: float) -> Tensor:
    """exp(β (min v − v)) in place; subnormal numbers would take twenty times as long, so small weights are raised."""
    return negated.mul_(beta).clamp_(min=_LEAST_EXPONENT).exp_()
