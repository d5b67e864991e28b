"""Changes that no test notices, and why that is right."""

from __future__ import annotations

_STRICT = "zip(strict=...) only guards against programming errors"
_SLACK = "half of this slack still exceeds the float32 rounding that it covers"
_THRESHOLD = "how many candidates a row may have changes time and memory, not the answer"

ACCEPTED: dict[str, dict[str, str]] = {
    "encoding": {
        "Encoding.encode: half_sq < ABSENT → half_sq <= ABSENT": "equivalent: real ones are at most 1, others 1e30",
    },
    "filtering": {
        "TileBounds.largest_values: 2 * _SLACK → _SLACK": _SLACK,
        "TileBounds.largest_values: 2 * _SLACK → _SLACK (2)": _SLACK,
    },
    "candidates": {
        "CandidateState.limits: 1.0 → 0.5": "equivalent: any negative limit keeps nothing",
        "CandidateState.prune: True → False": _STRICT,
        "CandidateState.prune: 8 * self.best.shape[1] → 8": _THRESHOLD,
        "CandidateState.prune: 8 → 9": _THRESHOLD,
        "CandidateState.prune: 8 → 4": _THRESHOLD,
        "CandidateState.prune: counts > max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "counts >= max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
        "CandidateState.prune: max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "min(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
    },
}
