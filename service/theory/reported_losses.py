"""Table 2 of the paper: reported losses of language models, beside what the scaling laws predict for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from service.theory.scaling_laws import CHINCHILLA_PRINTED, corrected_losses


@dataclass(frozen=True)
class ReportedLoss:
    """A row of Table 2: N parameters, D tokens, the loss in nats per token."""

    model: str
    parameters: float
    tokens: float
    loss: float
    reference: str


TABLE_2 = (
    ReportedLoss("Transformer", 1.5e9, 22e9, 2.5, "Kaplan et al. (2020)"),
    ReportedLoss("Chinchilla", 70e9, 1.4e12, 2.2, "Hoffmann et al. (2022a)"),
    ReportedLoss("PaLM 2", 16e9, 100e9, 2.4, "Anil et al. (2023)"),
    ReportedLoss("GPT-2", 8.7e9, 178e9, 2.3, "Muennighoff et al. (2024)"),
    ReportedLoss("MiniCPM", 2.4e9, 140e9, 2.4, "Hu et al. (2024c)"),
    ReportedLoss("Nanotron", 1.2e9, 105e9, 2.4, "Peng et al. (2024)"),
)
_NOTES = [
    "Table 2: the losses are on different data with different tokenisers, so they are not comparable with each other.",
    "Table 2: N/D² spans a factor of 87, and log N grows by 0.94 per log D; Prop. 5's N ∝ D² is not in these rows.",
    "Table 2: the row of Chinchilla is 0.26 nats above the law of eq. (1) with the published E = 1.69, which was "
    "fitted to that family of models.",
    "Prop. 4: a loss above 1 nat per token is no evidence for L ≥ 1 nat per pattern.",
]


def reported_losses_theory() -> dict[str, Any]:
    """Table 2 with each row's predicted losses, N/D² and tokens per parameter, and the trend of N in D."""
    n, d = _logs(TABLE_2)
    slope = float(np.polyfit(d, n, 1)[0])
    return {
        "paper_literal": {"rows": [asdict(row) | _printed(row) for row in TABLE_2]},
        "corrected": {
            "rows": [_predictions(row) for row in TABLE_2],
            "exponent": slope,
            "correlation": float(np.corrcoef(d, n)[0, 1]),
        },
        "notes": _NOTES,
    }


def _printed(row: ReportedLoss) -> dict[str, float]:
    return {"chinchilla": CHINCHILLA_PRINTED.loss(row.parameters, row.tokens)}


def _predictions(row: ReportedLoss) -> dict[str, Any]:
    ratios = {
        "parameters_per_token_squared": row.parameters / row.tokens**2,
        "tokens_per_parameter": row.tokens / row.parameters,
    }
    return {"model": row.model} | corrected_losses(row.parameters, row.tokens) | ratios


def _logs(rows: tuple[ReportedLoss, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.log([row.parameters for row in rows]), np.log([row.tokens for row in rows])
