"""Table 3 of the paper: the mean squared errors of twelve runs, the D* read off them, and the ratios N/D*²."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.theory.stopping import Cell, balance_exponent, optimal_tokens

PRINTED_THRESHOLD = 0.04  # σ², appendix F.3
PRINTED_DECIMALS = 2  # of an MSE in the table


@dataclass(frozen=True)
class StoppingRow:
    """A model of Table 3: N, its four runs, and the D* that the paper marks."""

    parameters: float
    cells: tuple[Cell, Cell, Cell, Cell]
    optimal_tokens: float


def _row(parameters: float, millions: tuple[float, ...], errors: tuple[float, ...], marked: float) -> StoppingRow:
    first, second, third, fourth = (Cell(float(round(m * 1e6)), mse) for m, mse in zip(millions, errors, strict=True))
    return StoppingRow(parameters, (first, second, third, fourth), float(round(marked * 1e6)))


TABLE_3 = (
    _row(39.95e6, (167.06, 190.38, 214.18, 237.98), (0.07, 0.05, 0.04, 0.04), 214.18),
    _row(60.26e6, (214.18, 237.98, 261.78, 285.57), (0.05, 0.04, 0.02, 0.02), 261.78),
    _row(80.20e6, (261.78, 285.57, 309.37, 333.17), (0.05, 0.04, 0.02, 0.02), 309.37),
)
_NOTES = [
    "Table 3: with the printed digits MSE < 0.04 has no D* in the first row, and MSE ≤ 0.04 has an earlier one in the "
    "other two; the printed D* need unrounded errors that the paper does not give.",
    "Table 3: D* is the third of four columns whose window moves with N, so a near-constant N/D*² would come out of "
    "any fixed column.",
    "Table 3: even with exact errors, three points on so coarse a grid leave the exponent of N ∝ D^p anywhere between "
    "`exponent_low` and `exponent_high`, which does not single out 2.",
    "Appendix F.3: D* is where the gap of training and validation loss falls below 0.2 nats, which is not where the "
    "loss is least for given compute.",
]


def stopping_table_theory(threshold: float = PRINTED_THRESHOLD, *, strict: bool = True) -> dict[str, Any]:
    """Table 3 as printed, and the rule applied to its printed cells.

    Raises:
        InvalidInput: the threshold is not positive.
    """
    found = [optimal_tokens(row.cells, threshold, strict=strict) for row in TABLE_3]
    low, high = exponent_range()
    return {
        "paper_literal": {
            "threshold": PRINTED_THRESHOLD,
            "rows": [_shown(row, row.optimal_tokens) for row in TABLE_3],
            "exponent": balance_exponent(_parameters(), [row.optimal_tokens for row in TABLE_3]),
        },
        "corrected": {
            "threshold": threshold,
            "strict": strict,
            "rows": [_shown(row, tokens) for row, tokens in zip(TABLE_3, found, strict=True)],
            "exponent": _exponent(found),
            "exponent_low": low,
            "exponent_high": high,
            "column_ratios": column_ratios(),
        },
        "notes": _NOTES,
    }


def column_ratios() -> list[list[float]]:
    """N/D² of every row, by column of Table 3: none is far from constant."""
    return [[row.parameters / row.cells[column].tokens ** 2 for row in TABLE_3] for column in range(4)]


def exponent_range() -> tuple[float, float]:
    """The least and the largest exponent Table 3 allows: each true D* is between the marked run and the one before.

    The largest is not at a corner of that box: the middle D* that gives it lies inside.
    """
    box = np.log([(row.cells[1].tokens, row.optimal_tokens) for row in TABLE_3])
    return _least_exponent(box, 1.0), -_least_exponent(box, -1.0)


def _least_exponent(box: np.ndarray, sign: float) -> float:
    """The least of sign · p for log D* in `box`, shape (3, 2), by grids around the best point of the grid before."""
    log_n, steps = np.log(_parameters()), np.linspace(0, 1, 9)
    low, high = box[:, 0], box[:, 1]
    least = math.inf
    for _ in range(16):
        sides = low + (high - low) * steps[:, None]
        log_d = np.stack(np.meshgrid(*sides.T), axis=-1).reshape(-1, 3)
        centred = log_d - log_d.mean(axis=1, keepdims=True)
        exponents = sign * (centred @ log_n) / (centred**2).sum(axis=1)
        best, reach = log_d[np.argmin(exponents)], (high - low) / 4
        least = min(least, float(exponents.min()))
        low, high = np.maximum(best - reach, box[:, 0]), np.minimum(best + reach, box[:, 1])
    return least


def _parameters() -> list[float]:
    return [row.parameters for row in TABLE_3]


def _exponent(found: list[float | None]) -> float | None:
    tokens = [value for value in found if value is not None]
    return balance_exponent(_parameters(), tokens) if len(tokens) == len(found) and len(set(tokens)) > 1 else None


def _shown(row: StoppingRow, tokens: float | None) -> dict[str, Any]:
    return {
        "parameters": row.parameters,
        "tokens": [cell.tokens for cell in row.cells],
        "mse": [cell.mse for cell in row.cells],
        "optimal_tokens": tokens,
        "parameters_per_token_squared": None if tokens is None else row.parameters / tokens**2,
    }
