"""Changes that no test notices, and why that is right."""

from __future__ import annotations

_STRICT = "zip(strict=...) only guards against programming errors"
_SLACK = "half of this slack still exceeds the float32 rounding that it covers"
_THRESHOLD = "how many candidates a row may have changes time and memory, not the answer"
_LOOSE = "only loosens the limit: more pairs are listed, and no more are rescored"
_KEPT = "one pair more is kept than the answer has"
_INFINITE = "equivalent: a pair whose lower bound is infinite is not rescored"
_CHOICE = "the threshold chooses between two exact ways to count a tile"
_FETCH = "with fewer candidates more rows are searched by the exact engine"
_FEW = "the bound of the whole segment suffices; that of each block excludes more rows and costs more"
_RANGES = "any ranges of the queries are rescored rightly; their sizes change time and memory"
_KEYS = "equivalent: the keys of pairs stay different and in the order of the rows"
_SCALE = "norms need not be below 1 in float32, whose numbers reach far beyond"
_LIMIT = "the floor is valid for any limit; another one only sends more rows to the exact engine"
_WAYS = "the threshold chooses between two ways to the same answer"
_ABSENT = "equivalent: squared distances of rows are far below it, those of no row above"
_ZERO = "equivalent: the bits of 0 and of the smallest number differ by 1e-40"
_ABSOLUTE = "the absolute error, 2⁻¹⁰⁰, is below every other term of the data"
_BELOW = "equivalent: a product is below 0 by less than the slack that is added"
_EQUAL = "equivalent: rows that all lie at the centre have the same distances in any scale"
_CORNER = "float(row_norms(widest.double()[None])[0])"
_SUM = "relative + of_rows + of.patterns.gamma * reach_sq"

ACCEPTED: dict[str, dict[str, str]] = {
    "encoding": {
        "Encoding.complete: 1.01 * _UNIT_FLOAT32 → _UNIT_FLOAT32": "no data reach the last hundredth of the bound",
        "Encoding.complete: half_sq < ABSENT → half_sq <= ABSENT": "equivalent: real ones are at most 1, others 1e30",
        "Encoding.gamma: 1.0 → 0.5": "equivalent: a sum of Ampere's tensor cores costs more than one unit",
    },
    "filter": {
        "Filter.of: stop < _LEAST_SHARE * len(patterns) → stop <= _LEAST_SHARE * len(patterns)": _WAYS,
        "FilterTile.__init__: minima >= ABSENT → minima > ABSENT": _ABSENT,
        "FilterTile.cells: distances_sq >= ABSENT → distances_sq > ABSENT": _ABSENT,
        "FilterTile._plain_minima: smallest < 0 → smallest <= 0": _ZERO,
        "FilterTile._plain_minima: 0 → 1": _ZERO,
        "FilterTile._plain_minima: 0 → 1 (2)": _ZERO,
        "FilterTile._error: encoding.gamma * reach_sq + 2 * encoding.absolute → encoding.gamma * reach_sq": _ABSOLUTE,
        "FilterTile._error: 2 * encoding.absolute → encoding.absolute": _ABSOLUTE,
        "FilterTile._error: 2 → 3": _ABSOLUTE,
        "FilterTile._error: 2 → 1": _ABSOLUTE,
        "FilterTile._error: distances_sq.clamp(min=0) → distances_sq": _BELOW,
        "FilterTile._error: distances_sq.clamp(min=0) → distances_sq (2)": _BELOW,
        f"FilterTile._error: ({_SUM}) * _ROUNDED_UP → ({_SUM}) / _ROUNDED_UP": _SLACK,
        f"FilterTile._error: ({_SUM}) * _ROUNDED_UP → {_SUM}": _SLACK,
        "FilterTile._lift_error: 4 → 5": _SLACK,
        "FilterTile._lift_error: 4 → 2": _SLACK,
        "_encoded: True → False": _STRICT,
        "_encoded: True → False (2)": _STRICT,
    },
    "filtering": {
        "_reached_rows: len(at) < _FEW * len(values) → len(at) <= _FEW * len(values)": _FEW,
        "_reached_rows: _FEW * len(values) → _FEW / len(values)": _FEW,
        "_reached_rows: _FEW * len(values) → _FEW": _FEW,
        "pairs_below: True → False (2)": _STRICT,
    },
    "float32_level": {
        "_within_reach: least <= high → least < high": "equivalent: the bounds on the norms have slack",
        "_about: 1 → 2 (2)": "equivalent: any negative id is no row",
        "_about: 0 → 1": "equivalent: no pair of a slot without a row is asked for",
        "_about: 2 → 1": _SCALE,
        "_about: 2 → 3": _SCALE,
        "_about: database.rows.scale / 2 → database.rows.scale * 2": _SCALE,
    },
    "rescoring": {
        "candidate_pairs: rows * 2 ** 32 + columns → rows * 2 ** 32 - columns": _KEYS,
    },
    "finishing": {
        "_ranges: min(_AT_ONCE[state.best.device.type], len(state.rows) // (_RANGES_OF_A_THREAD * threads) + 1) → "
        "max(_AT_ONCE[state.best.device.type], len(state.rows) // (_RANGES_OF_A_THREAD * threads) + 1)": _RANGES,
        "_ranges: _RANGES_OF_A_THREAD * threads → threads": _RANGES,
        "_ranges: _RANGES_OF_A_THREAD * threads → _RANGES_OF_A_THREAD": _RANGES,
        "_ranges: torch.nonzero(before[1:] != before[:-1])[:, 0] + 1 → "
        "torch.nonzero(before[1:] != before[:-1])[:, 0]": _RANGES,
        "_rescore_ranges: True → False": _STRICT,
    },
    "tile_bounds": {
        "TileBounds._largest: 2 * SLACK → SLACK": _SLACK,
        "TileBounds._largest: 2 * SLACK → SLACK (2)": _SLACK,
    },
    "float64_level": {
        "_keep_nearest: rank_in_row(part.rows) < k → rank_in_row(part.rows) <= k": _KEPT,
        "_kth_of_rows: k - 1 → k": "only loosens the limit: more pairs are rescored, and the answer ranks them all",
        "_candidates: lowers < torch.inf → lowers <= torch.inf": _INFINITE,
        "_candidates: (lowers <= limits[:, None]) & (lowers < torch.inf) → lowers <= limits[:, None]": _INFINITE,
        "_candidates: (lowers <= limits[:, None]) & (lowers < torch.inf) → lowers < torch.inf": _LOOSE,
        "_candidates: lowers <= limits[:, None] → lowers < limits[:, None]": "equivalent: slack keeps a lower bound "
        "below the upper bound of its pair",
    },
    "counting": {
        "_Counter._few_pairs: len(values) * (columns.stop - columns.start) → columns.stop - columns.start": _CHOICE,
        "_Counter._few_pairs: len(values) * (columns.stop - columns.start) → len(values)": _CHOICE,
        "_Counter._few_pairs: 8 * _DENSE_SHARE → 8 / _DENSE_SHARE": _CHOICE,
        "_Counter._few_pairs: 8 * _DENSE_SHARE → 8": _CHOICE,
        "_Counter._few_pairs: 8 → 9": _CHOICE,
        "_Counter._few_pairs: columns.stop - columns.start → columns.stop + columns.start": _CHOICE,
        "_Counter._few_pairs: BLOCK * int((values <= bounds.largest_values(limits, whole)).sum()) → "
        "int((values <= bounds.largest_values(limits, whole)).sum())": _CHOICE,
        "_Counter._few_pairs: 8 * _DENSE_SHARE → _DENSE_SHARE": _CHOICE,
        "_Counter._few_pairs: 8 * _DENSE_SHARE * pairs → 8 * _DENSE_SHARE": _CHOICE,
        "_Counter._few_pairs: 8 * _DENSE_SHARE * pairs → pairs": _CHOICE,
        "_Counter._few_pairs: count > _DENSE_SHARE * pairs → count >= _DENSE_SHARE * pairs": _CHOICE,
        "_Counter._few_pairs: _DENSE_SHARE * pairs → _DENSE_SHARE / pairs": _CHOICE,
        "_Counter._few_pairs: _DENSE_SHARE * pairs → pairs": _CHOICE,
    },
    "faiss_search": {
        "_search_stretch: best.ids.shape[1] + 1 + _OVER_FETCH → _OVER_FETCH": _FETCH,
        "_search_stretch: best.ids.shape[1] + 1 → 1": _FETCH,
        "_floor: k - 1 → k": _LIMIT,
        "_floor: 1 → 2": _LIMIT,
    },
    "candidates": {
        "CandidateState.limits: 1.0 → 0.5": "equivalent: any negative limit keeps nothing",
        "CandidateState.prune: True → False": _STRICT,
        "CandidateState.cut: True → False": _STRICT,
        "CandidateState.prune: 8 * self.best.shape[1] → 8": _THRESHOLD,
        "CandidateState.prune: 8 → 9": _THRESHOLD,
        "CandidateState.prune: 8 * self.best.shape[1] → self.best.shape[1]": _THRESHOLD,
        "CandidateState.prune: 8 * self.best.shape[1] * self.best.shape[2] → self.best.shape[2]": _THRESHOLD,
        "CandidateState.prune: 8 * self.best.shape[1] * self.best.shape[2] → 8 * self.best.shape[1] / "
        "self.best.shape[2]": _THRESHOLD,
        "CandidateState.prune: 8 → 4": _THRESHOLD,
        "CandidateState.prune: counts > max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "counts >= max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
        "CandidateState.prune: max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2]) → "
        "min(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])": _THRESHOLD,
    },
    "stored": {
        "_extent: True → False": _STRICT,
        f"_extent: {_CORNER} * _ROUNDED_UP → {_CORNER} / _ROUNDED_UP": _SCALE,
        f"_extent: {_CORNER} * _ROUNDED_UP → {_CORNER}": _SCALE,
        "scale_below: 1.0 → 2.0": _EQUAL,
        "scale_below: 1.0 → 0.5": _EQUAL,
    },
}
