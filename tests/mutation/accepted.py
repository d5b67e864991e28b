"""Changes that no test notices, and why that is right."""

from __future__ import annotations

_STRICT = "zip(strict=...) only guards against programming errors"
_THRESHOLD = "how many candidates a row may have changes time and memory, not the answer"

ACCEPTED: dict[str, dict[str, str]] = {
    "encoding": {
        "Encoding.encode: half_sq < ABSENT → half_sq <= ABSENT": "equivalent: half squared norms are ≤ 2, or 1e30",
    },
    "filtering": {
        "TileBounds.largest_values: 2 * _SLACK → _SLACK (2)": "the remaining slack still exceeds the float32 rounding",
    },
    "candidates": {
        "CandidateState.limits: 1.0 → 0.5": "equivalent: any negative limit keeps nothing",
        "CandidateState.prune: True → False": _STRICT,
        "CandidateState.prune: counts > max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "counts >= max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
        "CandidateState.prune: max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "min(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
    },
}
