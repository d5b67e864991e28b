"""Table 3 for measured runs: D* by the rule and by interpolation, N/D*², and the exponent of N ∝ D*^p.

The mean squared error of a cell (N, D) is that of `stopping_gap`, in nats². D* by the rule is the least D with MSE < σ²
(`strict`) or ≤ σ² (`at_most`). Measured errors are never equal to σ², printed ones are: `printed_strict` and
`printed_at_most` are the same of the MSE rounded to the paper's two decimals. A cell that was not measured is a gap: no
D* is found in it, and none is interpolated across it. Intervals: see `stopping_draws`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.theory.stopping import Cell, balance_exponent, optimal_tokens
from service.theory.stopping_draws import MeasuredModel, crossing, interval_of, interval_source
from service.theory.stopping_table import PRINTED_DECIMALS

Array = np.ndarray
LAWS = {
    "N ∝ D (compute-optimal, Hoffmann et al. 2022)": 1.0,
    "N ∝ D^1.35 (bound on overfitting, Kaplan et al. 2020)": 1.35,
    "N ∝ D² (Prop. 5)": 2.0,
}
RULES = ("strict", "at_most", "printed_strict", "printed_at_most")
_NONE: dict[str, Any] = {"value": None, "interval": None, "interval_of": None}


def measured_stopping(models: Sequence[MeasuredModel], threshold: float, *, seed: int = 0) -> dict[str, Any]:
    """D* of every model, N/D*², and the exponent that the table supports.

    Args:
        models: one or more, each with one cell or more, measured or not.
        threshold: σ², the MSE below which D is enough.

    Raises:
        InvalidInput: the threshold is not positive.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = [model.draw(generator) for model in models]
    rows = [_row(model, draws, threshold) for model, draws in zip(models, drawn, strict=True)]
    return {
        "threshold": threshold,
        "rows": rows,
        "exponents": {
            "interpolated": _exponent(models, rows, drawn, threshold),
            **{rule: _rule_exponent(models, rows, rule) for rule in RULES},
            "iso_mse": _iso_mse(models, drawn),
        },
        "laws": [_law(name, power, models, rows) for name, power in LAWS.items()],
    }


def _row(model: MeasuredModel, draws: Array, threshold: float) -> dict[str, Any]:
    tokens, errors_sq = model.tokens, model.errors_sq
    here, drawn = _number(crossing(tokens, errors_sq[None], threshold)[0]), crossing(tokens, draws, threshold)
    by_rule = {rule: _by_rule(model, threshold, rule) for rule in RULES}
    reasons = {rule: _reason(tokens, errors_sq, found) for rule, found in by_rule.items()}
    reasons["interpolated"] = _reason(tokens, errors_sq, by_rule["strict"], between=True)
    found = by_rule | {"interpolated": here}
    interval = None if here is None else interval_of(drawn)
    return {
        "model": model.name,
        "parameters": model.parameters,
        "optimal_tokens": found,
        "interval": interval,
        "interval_of": None if interval is None else interval_source([model]),
        "crossing_share": float(np.isfinite(drawn).mean()),
        "parameters_per_token_squared": {
            name: None if value is None else model.parameters / value**2 for name, value in found.items()
        },
        "reasons": {name: reason for name, reason in reasons.items() if reason is not None},
    }


def _by_rule(model: MeasuredModel, threshold: float, rule: str) -> float | None:
    """The least D of the measured cells that the rule takes."""
    measured = [(cell.tokens, cell.mse) for cell in model.cells if cell.mse is not None]
    digits = PRINTED_DECIMALS if rule.startswith("printed") else None
    cells = [Cell(tokens, mse if digits is None else round(mse, digits)) for tokens, mse in measured]
    return optimal_tokens(cells, threshold, strict=rule.endswith("strict"))


def _reason(tokens: Array, errors_sq: Array, found: float | None, *, between: bool = False) -> str | None:
    """Why there is no D*, or none `between` two cells, or why it may be less than what was found."""
    gap = np.isnan(errors_sq)
    if gap.all():
        return "no cell was measured"
    before = len(tokens) if found is None else int(np.searchsorted(tokens, found))
    gaps = ", ".join(f"{size:,.0f}" for size in tokens[:before][gap[:before]])
    if found is None:
        if gaps:
            return f"no measured cell is below the threshold; D = {gaps} not measured"
        return "no cell is below the threshold: D* is beyond the grid, if there is one"
    if between and before == 0:
        return "the cell with the least data is below the threshold already: D* is at or before the grid's start"
    if between and gap[before - 1]:
        return f"D = {gaps} not measured: nothing is interpolated across a gap"
    return f"D = {gaps} not measured: D* may be less" if gaps else None


def _exponent(
    models: Sequence[MeasuredModel], rows: list[dict[str, Any]], drawn: list[Array], threshold: float
) -> dict[str, Any]:
    """p by least squares of log N on log of the interpolated D*."""
    found = _rule_exponent(models, rows, "interpolated")
    if found["value"] is None:
        return found
    tokens = np.stack([crossing(m.tokens, draws, threshold) for m, draws in zip(models, drawn, strict=True)])
    log_d, log_n = np.log(tokens), np.log([model.parameters for model in models])
    centred = log_d - log_d.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = (centred * log_n[:, None]).sum(axis=0) / (centred**2).sum(axis=0)
    return found | _with_interval(powers, models)


def _rule_exponent(models: Sequence[MeasuredModel], rows: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    tokens = [row["optimal_tokens"][rule] for row in rows]
    if None in tokens or len(set(tokens)) < 2 or len({model.parameters for model in models}) < 2:
        return _NONE
    return _NONE | {"value": balance_exponent([model.parameters for model in models], tokens)}


def _iso_mse(models: Sequence[MeasuredModel], drawn: list[Array]) -> dict[str, Any]:
    """p = −b/c of the plane log MSE = a + b log D + c log N over all cells: N ∝ D^p where the MSE stays the same."""
    errors_sq = np.concatenate([model.errors_sq for model in models])
    seen = np.isfinite(errors_sq)
    log_n = np.concatenate([np.full(len(model.cells), np.log(model.parameters)) for model in models])[seen]
    log_d = np.log(np.concatenate([model.tokens for model in models]))[seen]
    design = np.stack([np.ones_like(log_d), log_d, log_n], axis=1)
    if np.linalg.matrix_rank(design) < 3:
        return _NONE
    solve = np.linalg.pinv(design)
    plane = solve @ np.log(errors_sq[seen])
    planes = np.log(np.concatenate(drawn, axis=1)[:, seen]) @ solve.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"value": _number(-plane[1] / plane[2]), **_with_interval(-planes[:, 1] / planes[:, 2], models)}


def _law(name: str, power: float, models: Sequence[MeasuredModel], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """N/D*^p by model, over that of the first: a law that holds has the same everywhere."""
    tokens = [row["optimal_tokens"]["interpolated"] for row in rows]
    ratios = None
    if tokens and None not in tokens:
        raw = [model.parameters / value**power for model, value in zip(models, tokens, strict=True)]
        ratios = [value / raw[0] for value in raw]
    spread = None if ratios is None else max(ratios) / min(ratios)
    return {"law": name, "power": power, "ratios": ratios, "spread": spread}


def _with_interval(powers: Array, models: Sequence[MeasuredModel]) -> dict[str, Any]:
    interval = interval_of(powers)
    return {"interval": interval, "interval_of": None if interval is None else interval_source(models)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
