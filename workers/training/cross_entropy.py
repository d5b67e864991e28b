"""Cross-entropy of a linear output map without all logits at once.

    loss_i = log Σ_v exp(z_iv) − z_i,t_i,    z = hidden · weightᵀ + bias,    dloss_i/dz_iv = p_iv − [v = t_i]

Rows are processed in chunks. The logits of a chunk are computed once, become its probabilities in place and give both
gradients: (chunk, V) numbers are held instead of several times (N, V). Losses are in nats. Under autocast, matrix
products have its type; logits, losses and sums over chunks are float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch.autograd.function import once_differentiable

from service.errors import InvalidInput

_CHUNK_BYTES = {"cpu": 128 * 2**20}  # of logits; on a CPU fresh pages cost more than smaller products
_CHUNK_BYTES_ELSEWHERE = 2**30
_ALIGNED = {"cpu": 16, "cuda": 128}  # rows of logits start at multiples of so many numbers: products are faster

Reduction = Literal["mean", "sum"]
Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


def linear_cross_entropy(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    targets_N: torch.Tensor,
    *,
    weights_N: torch.Tensor | None = None,
    reduction: Reduction = "mean",
    chunk: int | None = None,
) -> torch.Tensor:
    """The loss of the int64 targets: Σ wᵢ·lossᵢ ("sum"), or that over Σ wᵢ ("mean"); a scalar in nats.

    Gradients reach `hidden_ND`, `weight_VD` and `bias_V`. The mean over masked positions alone is NaN, as in PyTorch.

    Args:
        weights_N: of each position, default 1; a position of weight 0 is masked, and its target is ignored.
        chunk: rows whose logits are held at once; by default as many as fill 128 MiB on a CPU, 1 GiB on a GPU.

    Raises:
        InvalidInput: `chunk` is not positive.
    """
    if chunk is not None and chunk < 1:
        raise InvalidInput("chunk must be positive", field="chunk")
    rows = chunk or _default_chunk(weight_VD)
    if weights_N is not None:
        targets_N = targets_N.where(weights_N != 0, 0)
    factors_N = _factors(weights_N, hidden_ND, mean=reduction == "mean")
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (hidden_ND, weight_VD, bias_V)):
        return _LinearCrossEntropy.apply(hidden_ND, weight_VD, bias_V, targets_N, factors_N, rows)  # type: ignore
    return _losses(_Problem(hidden_ND, weight_VD, bias_V, targets_N, None, rows, len(weight_VD))).mul_(factors_N).sum()


def token_losses(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    targets_N: torch.Tensor,
    cap: float | None = None,
) -> torch.Tensor:
    """(N,) the loss of each int64 target, without gradients; with a soft cap, of the logits cap · tanh(z / cap)."""
    rows = _default_chunk(weight_VD)
    return _losses(_Problem(hidden_ND, weight_VD, bias_V, targets_N, None, rows, len(weight_VD), cap))


@dataclass(frozen=True)
class _Problem:
    """The inputs of a pass over the rows."""

    hidden: torch.Tensor  # (N, D)
    weight: torch.Tensor  # (V, D)
    bias: torch.Tensor | None  # (V,)
    targets: torch.Tensor  # (N,)
    factors: torch.Tensor | None  # (N,): the factor of each loss in the sum; None where no gradient is computed
    rows: int  # of a chunk, at most

    classes: int  # V; `weight` may have more rows, of zeros
    cap: float | None = None  # of the logits; there are no gradients with one

    def cast(self, dtype: torch.dtype) -> _Problem:
        """The same problem with `hidden` and `weight` in `dtype`; on a GPU `weight` gets a round number of rows.

        Tensor cores take rows of 50,257 numbers at a third of the speed of 50,304. The copy that a cast makes has room.
        """
        weight = self.weight.to(dtype)
        missing = -len(weight) % _alignment(weight.device) if weight.device.type == "cuda" else 0
        if missing:
            weight = torch.nn.functional.pad(weight, (0, 0, 0, missing))
        return replace(self, hidden=self.hidden.to(dtype), weight=weight)


class _LinearCrossEntropy(torch.autograd.Function):
    """Σ factorᵢ·lossᵢ; the forward pass computes the gradients, the first backward pass returns them without a copy."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        targets_N: torch.Tensor,
        factors_N: torch.Tensor,
        rows: int,
    ) -> torch.Tensor:
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, targets_N, factors_N)
        ctx.rows, ctx.dtype = rows, _product_dtype(hidden_ND)
        problem = _Problem(hidden_ND, weight_VD, bias_V, targets_N, factors_N, rows, len(weight_VD))
        losses_N, ctx.ready = _losses_and_gradients(problem.cast(ctx.dtype))
        return (losses_N * factors_N).sum()  # not a matrix product, which autocast would compute in low precision

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """`grad` times the gradients; a second call on a retained graph computes them again."""
        ready: Gradients | None = ctx.ready
        ctx.ready = None
        if ready is None:
            hidden_ND, weight_VD, bias_V, targets_N, factors_N = ctx.saved_tensors
            again = _Problem(hidden_ND, weight_VD, bias_V, targets_N, factors_N, ctx.rows, len(weight_VD))
            ready = _losses_and_gradients(again.cast(ctx.dtype))[1]
        scaled = [None if found is None else _scale(found, grad) for found in ready]
        sources = ctx.saved_tensors[:3]
        typed = [None if x is None else x.to(source.dtype) for x, source in zip(scaled, sources, strict=True)]
        return (*typed, None, None, None)


def _factors(weights_N: torch.Tensor | None, hidden_ND: torch.Tensor, *, mean: bool) -> torch.Tensor:
    """(N,) the factor of each loss in the sum."""
    wide = torch.float64 if hidden_ND.dtype == torch.float64 else torch.float32
    if weights_N is None:
        count = len(hidden_ND)
        return torch.full((count,), 1 / max(1, count) if mean else 1.0, dtype=wide, device=hidden_ND.device)
    factors_N = weights_N.detach().to(wide)
    return factors_N / factors_N.sum() if mean else factors_N


def _alignment(device: torch.device) -> int:
    return _ALIGNED.get(device.type, 16)


def _default_chunk(weight_VD: torch.Tensor) -> int:
    held = _CHUNK_BYTES.get(weight_VD.device.type, _CHUNK_BYTES_ELSEWHERE)
    return max(1, held // (4 * weight_VD.shape[0]))


def _product_dtype(hidden_ND: torch.Tensor) -> torch.dtype:
    """The type of a linear map under the current autocast; without autocast the type of the vectors."""
    device = hidden_ND.device.type
    if not torch.is_autocast_enabled(device) or hidden_ND.dtype == torch.float64:
        return hidden_ND.dtype
    return torch.get_autocast_dtype(device)


def _chunks(problem: _Problem) -> list[slice]:
    """The fewest chunks of at most `rows` rows, of equal size as far as possible."""
    count = len(problem.targets)
    parts = -(-count // problem.rows)
    cuts = [count * i // parts for i in range(parts + 1)] if parts else []
    return [slice(a, b) for a, b in pairwise(cuts)]


def _log_probabilities(problem: _Problem, rows: slice, buffer: torch.Tensor) -> torch.Tensor:
    """(C, V) log-probabilities of a chunk, a view of `buffer`, whose further columns get logits of −∞."""
    hidden_CD, weight_VD = problem.hidden[rows], problem.weight
    padded_CW, count = buffer[: len(hidden_CD)], problem.classes
    z_CV = padded_CW[:, : len(weight_VD)]
    if hidden_CD.dtype == z_CV.dtype == weight_VD.dtype:
        torch.mm(hidden_CD, weight_VD.T, out=z_CV)
    else:
        z_CV.copy_(torch.mm(hidden_CD, weight_VD.T))
    padded_CW[:, count:] = float("-inf")
    if problem.bias is not None:
        padded_CW[:, :count] += problem.bias
    if problem.cap is not None:
        padded_CW[:, :count].div_(problem.cap).tanh_().mul_(problem.cap)
    return torch.log_softmax(padded_CW, dim=1, out=padded_CW)[:, :count]


def _buffer(problem: _Problem, chunks: list[slice]) -> torch.Tensor:
    wide = torch.float64 if problem.hidden.dtype == torch.float64 else torch.float32
    most = max((rows.stop - rows.start for rows in chunks), default=0)
    aligned = _alignment(problem.hidden.device)
    width = -(-problem.classes // aligned) * aligned
    return torch.empty(most, width, dtype=wide, device=problem.hidden.device)


@torch.no_grad()
def _losses(problem: _Problem) -> torch.Tensor:
    """(N,) losses without gradients."""
    problem = problem.cast(_product_dtype(problem.hidden))
    chunks = _chunks(problem)
    buffer = _buffer(problem, chunks)
    losses_N = buffer.new_empty(len(problem.targets))
    with torch.autocast(buffer.device.type, enabled=False):
        for rows in chunks:
            log_p_CV = _log_probabilities(problem, rows, buffer)
            losses_N[rows] = -log_p_CV.gather(1, problem.targets[rows, None])[:, 0]
    return losses_N


@torch.no_grad()
def _losses_and_gradients(problem: _Problem) -> tuple[torch.Tensor, Gradients]:
    """(N,) losses, and the gradients of Σ factorᵢ·lossᵢ: (N, D), (V, D), (V,)."""
    chunks = _chunks(problem)
    buffer = _buffer(problem, chunks)
    losses_N = buffer.new_empty(len(problem.targets))
    grad_hidden_ND = torch.empty_like(problem.hidden)
    grad_weight_VD = None if chunks else buffer.new_zeros(problem.weight.shape)
    width = len(problem.weight)
    grad_bias_V = None if problem.bias is None else buffer.new_zeros(len(problem.bias))
    assert problem.factors is not None
    with torch.autocast(buffer.device.type, enabled=False):
        for rows in chunks:
            hidden_CD, targets_C = problem.hidden[rows], problem.targets[rows, None]
            factors_C = problem.factors[rows]
            p_CV = _log_probabilities(problem, rows, buffer)
            losses_N[rows] = -p_CV.gather(1, targets_C)[:, 0]
            buffer[: len(p_CV), :width].exp_()
            p_CV.scatter_add_(1, targets_C, p_CV.new_full((1, 1), -1.0).expand(len(p_CV), 1))
            narrow_CV = buffer[: len(p_CV), :width].to(hidden_CD.dtype)  # exp(−∞) = 0 beyond the classes
            # The factors scale the rows of the (C, D) matrices: fewer numbers than (C, V).
            grad_hidden_ND[rows] = torch.mm(narrow_CV, problem.weight).mul_(factors_C[:, None])
            scaled_CD = (hidden_CD * factors_C[:, None]).to(hidden_CD.dtype)
            grad_weight_VD = _add_product(grad_weight_VD, narrow_CV, scaled_CD)
            if grad_bias_V is not None:
                grad_bias_V += p_CV.T @ factors_C
    assert grad_weight_VD is not None
    return losses_N, (grad_hidden_ND, grad_weight_VD[: problem.classes], grad_bias_V)


def _add_product(total_VD: torch.Tensor | None, p_CV: torch.Tensor, hidden_CD: torch.Tensor) -> torch.Tensor:
    """total + pᵀ · hidden in place, in the type of the total."""
    if total_VD is None:
        first_VD = torch.mm(p_CV.T, hidden_CD)
        return first_VD.to(torch.promote_types(p_CV.dtype, torch.float32))
    if total_VD.dtype == p_CV.dtype:
        return total_VD.addmm_(p_CV.T, hidden_CD)
    return total_VD.add_(torch.mm(p_CV.T, hidden_CD))


def _scale(found: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """`found` · `grad` in place; the usual factor 1 is skipped on a CPU, where reading it does not wait."""
    if grad.device.type == "cpu" and grad.item() == 1.0:
        return found
    return found.mul_(grad)
