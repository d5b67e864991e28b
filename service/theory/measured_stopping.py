"""Table 3 for runs that were made: D* by the rule and by interpolation, N/D*², and the exponent of N ∝ D*^p.

The mean squared error of a cell (N, D) is that of `stopping_gap`, in nats². Between two D of the grid log MSE is taken
as linear in log D. Intervals are percentiles of a bootstrap: of the seeds of each cell where there are several, else of
the error of its one window, which knows nothing of the spread between seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.theory.stopping import Cell, balance_exponent, optimal_tokens

Array = np.ndarray
LAWS = {
    "N ∝ D (compute-optimal, Hoffmann et al. 2022)": 1.0,
    "N ∝ D^1.35 (bound on overfitting, Kaplan et al. 2020)": 1.35,
    "N ∝ D² (Prop. 5)": 2.0,
}
_DRAWS = 2000
_INTERVAL = (2.5, 97.5)
_LEAST_MSE = 1e-9
_ENOUGH = 0.95  # of the draws must have a D*, else an interval would leave out those without


@dataclass(frozen=True)
class MeasuredCell:
    """The runs of one (N, D): an MSE and its standard error for each seed."""

    tokens: float
    errors_sq: tuple[float, ...]
    standard_errors: tuple[float | None, ...]

    @property
    def mse(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.errors_sq))


@dataclass(frozen=True)
class MeasuredModel:
    """A row of the table: N, and its cells from the least D on."""

    name: str
    parameters: float
    cells: tuple[MeasuredCell, ...]


def measured_stopping(models: Sequence[MeasuredModel], threshold: float, *, seed: int = 0) -> dict[str, Any]:
    """D* of every model, N/D*², and what exponent the table supports.

    Args:
        models: those with at least one cell.
        threshold: σ², the MSE below which D is enough.

    Raises:
        InvalidInput: the threshold is not positive.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = [_draw(model, generator) for model in models]
    rows = [_row(model, draws, threshold) for model, draws in zip(models, drawn, strict=True)]
    return {
        "threshold": threshold,
        "rows": rows,
        "exponents": {
            "interpolated": _exponent(models, rows, drawn, threshold),
            "strict": _rule_exponent(models, rows, "strict"),
            "at_most": _rule_exponent(models, rows, "at_most"),
            "iso_mse": _iso_mse(models, drawn),
        },
        "laws": [_law(name, power, models, rows) for name, power in LAWS.items()],
    }


def crossing(tokens: Array, errors_sq: Array, threshold: float) -> Array:
    """(draws,) the D at which the MSE first falls below the threshold, NaN where it does not, or is from the start.

    Args:
        tokens: (cells,) increasing D.
        errors_sq: (draws, cells) positive.
    """
    below = errors_sq < threshold
    first = below.argmax(axis=1)
    answer = np.full(len(errors_sq), np.nan)
    inside = np.flatnonzero(below.any(axis=1) & (first > 0))
    right = first[inside]
    high, low = np.log(errors_sq[inside, right - 1]), np.log(errors_sq[inside, right])
    left_d, right_d = np.log(tokens[right - 1]), np.log(tokens[right])
    share = (high - np.log(threshold)) / (high - low)
    answer[inside] = np.exp(left_d + share * (right_d - left_d))
    return answer


def _row(model: MeasuredModel, draws: Array, threshold: float) -> dict[str, Any]:
    cells = [Cell(cell.tokens, cell.mse) for cell in model.cells]
    tokens, errors_sq = _grid(model)
    here, drawn = _number(crossing(tokens, errors_sq[None], threshold)[0]), crossing(tokens, draws, threshold)
    found = {
        "strict": optimal_tokens(cells, threshold),
        "at_most": optimal_tokens(cells, threshold, strict=False),
        "interpolated": here,
    }
    return {
        "model": model.name,
        "parameters": model.parameters,
        "optimal_tokens": found,
        "interval": None if here is None else _interval(drawn),
        "crossing_share": float(np.isfinite(drawn).mean()),
        "parameters_per_token_squared": {
            name: None if value is None else model.parameters / value**2 for name, value in found.items()
        },
        "reason": _reason(errors_sq, threshold),
    }


def _reason(errors_sq: Array, threshold: float) -> str | None:
    """Why there is no D*, or none between two cells."""
    if not (errors_sq < threshold).any():
        return "no run comes below the threshold: D* is beyond the grid, if there is one"
    if errors_sq[0] < threshold:
        return "the run with the least data is below the threshold already: D* is at or before the grid's start"
    return None


def _draw(model: MeasuredModel, generator: np.random.Generator) -> Array:
    """(draws, cells) MSE as they might have been; NaN for a cell of one seed whose error is not known."""
    columns = []
    for cell in model.cells:
        seen = np.array(cell.errors_sq)
        if len(seen) > 1:
            columns.append(seen[generator.integers(0, len(seen), (_DRAWS, len(seen)))].mean(axis=1))
        else:
            error = cell.standard_errors[0]
            noise = generator.standard_normal(_DRAWS) * (np.nan if error is None else error)
            columns.append(np.maximum(seen[0] + noise, _LEAST_MSE))
    return np.stack(columns, axis=1)


def _exponent(
    models: Sequence[MeasuredModel], rows: list[dict[str, Any]], drawn: list[Array], threshold: float
) -> dict[str, Any]:
    """p by least squares of log N on log of the interpolated D*."""
    value = _rule_exponent(models, rows, "interpolated")["value"]
    if value is None:
        return {"value": None, "interval": None}
    tokens = np.stack([crossing(_grid(m)[0], draws, threshold) for m, draws in zip(models, drawn, strict=True)])
    log_d, log_n = np.log(tokens), np.log([model.parameters for model in models])
    centred = log_d - log_d.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = (centred * log_n[:, None]).sum(axis=0) / (centred**2).sum(axis=0)
    return {"value": value, "interval": _interval(powers)}


def _rule_exponent(models: Sequence[MeasuredModel], rows: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    tokens = [row["optimal_tokens"][rule] for row in rows]
    if None in tokens or len(set(tokens)) < 2 or len({model.parameters for model in models}) < 2:
        return {"value": None, "interval": None}
    return {"value": balance_exponent([model.parameters for model in models], tokens), "interval": None}


def _iso_mse(models: Sequence[MeasuredModel], drawn: list[Array]) -> dict[str, Any]:
    """p = −b/c of the plane log MSE = a + b log D + c log N over all cells: N ∝ D^p where the MSE stays the same."""
    log_n = np.concatenate([np.full(len(model.cells), np.log(model.parameters)) for model in models])
    log_d = np.concatenate([np.log(_grid(model)[0]) for model in models])
    design = np.stack([np.ones_like(log_d), log_d, log_n], axis=1)
    if np.linalg.matrix_rank(design) < 3:
        return {"value": None, "interval": None}
    solve = np.linalg.pinv(design)
    plane = solve @ np.log(np.concatenate([_grid(model)[1] for model in models]))
    planes = np.log(np.concatenate(drawn, axis=1)) @ solve.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"value": _number(-plane[1] / plane[2]), "interval": _interval(-planes[:, 1] / planes[:, 2])}


def _law(name: str, power: float, models: Sequence[MeasuredModel], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """N/D*^p by model, over that of the first: a law that holds has the same everywhere."""
    tokens = [row["optimal_tokens"]["interpolated"] for row in rows]
    ratios = None
    if tokens and None not in tokens:
        raw = [model.parameters / value**power for model, value in zip(models, tokens, strict=True)]
        ratios = [value / raw[0] for value in raw]
    spread = None if ratios is None else max(ratios) / min(ratios)
    return {"law": name, "power": power, "ratios": ratios, "spread": spread}


def _interval(values: Array) -> list[float] | None:
    finite = values[np.isfinite(values)]
    if len(finite) < _ENOUGH * len(values):
        return None
    low, high = np.percentile(finite, _INTERVAL)
    return [float(low), float(high)]


def _grid(model: MeasuredModel) -> tuple[Array, Array]:
    """(cells,) D and mean MSE."""
    return np.array([cell.tokens for cell in model.cells]), np.array([cell.mse for cell in model.cells])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
