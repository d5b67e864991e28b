"""D*, the least data at which the training loss has come near the least validation loss (appendix F.3).

D*(N) = min{D : MSE(L_train^{(N,D)}, L_min^{(N,D)}) < σ²}: L_min is the least validation loss of the run; the MSE is
over the 1000 iterations at the step of that minimum. "Proceeding" in the paper may mean before or after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from service.errors import InvalidInput
from service.theory.domain import check

WINDOW = 1000
BLOCKS = 10  # stretches of a window whose means give its error


@dataclass(frozen=True)
class Gap:
    """The difference of the training loss from the least validation loss; mse = mean_gap² + variance, in nats²."""

    step: int  # of the least validation loss, the first if there are several
    min_val_loss: float
    mse: float
    mse_error: float | None  # standard error of the mse by batch means; None with too few points
    mean_gap: float  # mean of L_train − L_min
    variance: float  # of L_train in the window
    points: int  # training losses in the window


@dataclass(frozen=True)
class Cell:
    """One run of the grid: D tokens and its MSE."""

    tokens: float
    mse: float


def stopping_gap(
    train_steps: ArrayLike,
    train_losses: ArrayLike,
    val_steps: ArrayLike,
    val_losses: ArrayLike,
    *,
    window: int = WINDOW,
    side: Literal["before", "after"] = "before",
) -> Gap:
    """The MSE of appendix F.3 for one run; steps and losses of equal lengths, shape (m,), in nats per token.

    With s the step of the least validation loss the window is (s − `window`, s] or [s, s + `window`).

    Raises:
        InvalidInput: lengths differ, a loss is not finite, there is no validation loss, or none of training there.
    """
    check("window", window, 1, 10**12)
    steps, losses = _series("train_losses", train_steps, train_losses)
    seen, validation = _series("val_losses", val_steps, val_losses)
    if not len(validation):
        raise InvalidInput("val_losses is empty", field="val_losses")
    best = int(np.argmin(validation))
    step, least = seen[best], float(validation[best])
    low, high = (step - window + 1, step) if side == "before" else (step, step + window - 1)
    inside = (steps >= low) & (steps <= high)
    gaps = losses[inside] - least
    if not len(gaps):
        raise InvalidInput(f"no training loss within {window} steps {side} step {int(step)}", field="train_losses")
    squares = gaps**2
    return Gap(
        step=int(step),
        min_val_loss=least,
        mse=float(squares.mean()),
        mse_error=_batch_means_error(squares),
        mean_gap=float(gaps.mean()),
        variance=float(gaps.var()),
        points=len(gaps),
    )


def optimal_tokens(cells: Sequence[Cell], threshold: float, *, strict: bool = True) -> float | None:
    """D*: the least D whose MSE is below σ² = `threshold`, or at most it where not `strict`; None where there is none.

    Raises:
        InvalidInput: the threshold is not positive.
    """
    check("threshold", threshold, 1e-12, 1e12)
    found = [cell.tokens for cell in cells if cell.mse < threshold or (not strict and cell.mse == threshold)]
    return min(found, default=None)


def balance_exponent(parameters: Sequence[float], tokens: Sequence[float]) -> float:
    """The p of N ∝ D^p by least squares of log N on log D.

    Raises:
        InvalidInput: lengths differ, or there are fewer than two different D.
    """
    if len(parameters) != len(tokens) or len(set(tokens)) < 2:
        raise InvalidInput("the exponent needs as many N as D, and at least two different D", field="tokens")
    return float(np.polyfit(np.log(tokens), np.log(parameters), 1)[0])


def _batch_means_error(values: np.ndarray) -> float | None:
    """Standard error of a mean over correlated steps, from the means of `BLOCKS` stretches."""
    if len(values) < 2 * BLOCKS:
        return None
    means = np.array([stretch.mean() for stretch in np.array_split(values, BLOCKS)])
    return float(means.std(ddof=1) / math.sqrt(BLOCKS))


def _series(name: str, steps: ArrayLike, losses: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    at, values = np.asarray(steps, dtype=np.int64), np.asarray(losses, dtype=np.float64)
    if at.ndim != 1 or at.shape != values.shape:
        raise InvalidInput(f"{name} and its steps must be lists of one length", field=name)
    if not np.isfinite(values).all():
        raise InvalidInput(f"{name} has a value that is not finite, at step {at[~np.isfinite(values)][0]}", field=name)
    return at, values
