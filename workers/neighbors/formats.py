"""The choice of the filter's number format, by a measurement on some of the rows on the device that will search.

A narrow format multiplies faster but leaves more candidates to rescore. The duration of the search is predicted from
both, measured on this device; the answer does not depend on the choice.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.devices.device import has_bfloat16
from workers.neighbors.candidates import MOST_CANDIDATES, Prefixes, no_candidates
from workers.neighbors.encoding import Encoding, choose_encoding
from workers.neighbors.filtering import search_panel
from workers.neighbors.layout import lay_out
from workers.neighbors.sampling import spread
from workers.neighbors.search import Search
from workers.neighbors.shifting import shifted
from workers.neighbors.side import encode_side
from workers.neighbors.stored import CentredRows, lengths_of

_ROWS_FOR_MEASURING = 4096  # with fewer the measurement would cost more than it saves
_MEASURED_QUERIES, _MEASURED_TILE, _MEASURED_ROWS = 128, 2048, 2048
_TIMED_ROWS = {"cpu": 512, "cuda": 8192}  # on a GPU of the size of a tile: fewer would time the launch
_SECONDS_PER_RESCORED_NUMBER = 1e-9  # two reads and a float64 subtraction; only its order of magnitude matters
_FAR_SLOWER = 4.0  # than the fastest format, by one measurement: no noise
_FLOAT64_SLOWDOWN = 16.0  # time of a pair in the float64 level over that in the filter, on CPUs and GPUs alike


@dataclass(frozen=True)
class FormatTrial:
    """The measurements of one format (the field names are JSON keys of stored reports).

    Attributes:
        seconds_per_gigapair: time of the filter alone.
        candidates_per_row: measured among a sample of rows.
        predicted_s: predicted time of the whole search.
    """

    format: str
    seconds_per_gigapair: float
    candidates_per_row: float
    predicted_s: float


def formats_of(device: torch.device) -> tuple[torch.dtype, ...]:
    """The formats to choose from, float32 last; one without hardware support is measured to be slow, and not chosen."""
    if device.type == "cuda":
        return (torch.float16, *([torch.bfloat16] if has_bfloat16(device) else []), torch.float32)
    return torch.bfloat16, torch.float32


def choose_format(
    rows: CentredRows, ids: Tensor, device: torch.device, queries: int, k: int
) -> tuple[Encoding, list[FormatTrial]]:
    """The encoding with the shortest predicted search of `queries` rows among `ids`, and the measurements.

    Formats are tried in the order of their speed, until rescoring takes less time than filtering: a slower format
    cannot be better then.
    """
    sample = spread(ids, _MEASURED_ROWS)
    taken = rows.take(sample)
    if len(ids) < _ROWS_FOR_MEASURING:
        return choose_encoding(taken, torch.float32, device), []
    encodings = [choose_encoding(taken, dtype, device) for dtype in formats_of(device)]
    timed = taken[: _TIMED_ROWS[device.type]]
    if len(timed) < _TIMED_ROWS[device.type]:
        timed = rows.take(spread(ids, _TIMED_ROWS[device.type]))
    speeds = _seconds_per_pair(encodings, timed)
    trials: list[tuple[FormatTrial, Encoding]] = []
    for per_pair, at in sorted((speed, at) for at, speed in enumerate(speeds)):
        filtering = queries * len(ids) / 2 * per_pair
        if trials and min(trial.predicted_s for trial, _ in trials) < filtering:
            break
        narrow = encodings[at].dtype != torch.float32
        again = speeds[-1] if narrow else per_pair * _FLOAT64_SLOWDOWN
        trial = _try(encodings[at], rows, sample, per_pair, again, queries * len(ids), queries, k)
        trials.append((trial, encodings[at]))
        if trials[-1][0].predicted_s < 2 * filtering:
            break
    _, encoding = min(trials, key=lambda pair: pair[0].predicted_s)
    return encoding, [trial for trial, _ in trials]


def _try(
    encoding: Encoding,
    rows: CentredRows,
    sample: Tensor,
    per_pair: float,
    per_pair_again: float,
    pairs: int,
    queries: int,
    k: int,
) -> FormatTrial:
    """The prediction for one format, from a search of a few rows in the sample.

    Args:
        per_pair, per_pair_again: seconds of the filter, and of the level that searches crowded rows.
    """
    layout = lay_out(sample, [len(sample)], lengths_of(rows, sample))
    codes, zeros = torch.arange(layout.slots, device=encoding.device), layout.slot_prefixes
    database = encode_side(rows, layout, codes, encoding, resident=True)
    asked = codes[layout.ids >= 0][:: max(1, len(sample) // _MEASURED_QUERIES)][:_MEASURED_QUERIES]
    some = lay_out(layout.ids[asked], [len(asked)])
    own = torch.nn.functional.pad(asked, (0, some.slots - len(asked)), value=-1)
    side = encode_side(rows, some, own, encoding, resident=True)
    prefixes = Prefixes(zeros[: some.slots], zeros, 1)
    search = shifted(Search(side, database, prefixes, True, min(k, len(sample) - 1), _MEASURED_TILE))
    state = no_candidates(prefixes, search.k)
    for panel in search.panels():
        search_panel(search, panel, state)
    state.prune(prefixes)
    crowded = float(state.lifted[: len(asked)].float().mean())
    candidates = len(state.rows) / len(asked) + crowded * MOST_CANDIDATES
    rescoring = queries * candidates * rows.d * _SECONDS_PER_RESCORED_NUMBER
    lifting = crowded * pairs * per_pair_again
    return FormatTrial(encoding.name, per_pair * 1e9, candidates, pairs * per_pair / 2 + rescoring + lifting)


def _seconds_per_pair(encodings: list[Encoding], rows: Tensor) -> list[float]:
    """Time of a product per pair in each format, the shortest of three.

    The formats take turns, so that another process that takes the cores for a moment does not slow one of them alone.
    One that the machine only emulates has one turn.
    """
    rights = [encoding.encode(rows).matrix for encoding in encodings]
    lefts = [encoding.left(right) for encoding, right in zip(encodings, rights, strict=True)]
    best = [math.inf] * len(encodings)
    for at, encoding in enumerate(encodings):
        if encoding.device.type == "cuda":  # whose first product loads the library
            encoding.product(lefts[at], rights[at])
            torch.cuda.synchronize(encoding.device)
    for turn in range(3):
        for at, encoding in enumerate(encodings):
            if turn and best[at] > _FAR_SLOWER * min(best):
                continue
            began = time.perf_counter()
            encoding.product(lefts[at], rights[at])
            if encoding.device.type == "cuda":
                torch.cuda.synchronize(encoding.device)
            best[at] = min(best[at], time.perf_counter() - began)
    return [seconds / len(rows) ** 2 for seconds in best]
