"""Work × a device's speeds → time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, exp, log

from service.contracts.estimates import Calibration, Rate, StageEstimate


@dataclass(frozen=True)
class Work:
    """A stage of a job, or several equal stages.

    Attributes:
        amounts: amount of work by the name of a speed of `Calibration`.
        width: d_model, on which some speeds depend.
        repeats: number of equal stages, in parallel where there are workers.
        segments: number of segments of one repeat; with `segment_s`, at least as many as that length requires.
        segment_s: longest time of a segment.
        spread: segments of one repeat may run in parallel.
        written_bytes: bytes that all repeats leave on disk.
        memory_bytes: peak memory of a worker.
    """

    stage: str
    amounts: Mapping[str, float] = field(default_factory=dict)
    width: int = 0
    repeats: int = 1
    segments: int = 1
    segment_s: float | None = None
    spread: bool = False
    written_bytes: int = 0
    memory_bytes: int = 0


def price(work: Work, calibration: Calibration | None, workers: int, overhead_s: float) -> StageEstimate:
    """Time and segments of a stage on `workers` equal workers; each segment starts `overhead_s` late."""
    seconds = segments = None
    if calibration is not None:
        busy_s = sum(amount / speed_at(calibration, name, work.width) for name, amount in work.amounts.items())
        each = max(work.segments, ceil(busy_s / work.segment_s)) if work.segment_s else work.segments
        segments = work.repeats * each
        parallel = segments if work.spread else work.repeats
        rounds = ceil(parallel / max(1, min(workers, parallel)))
        seconds = rounds * (busy_s / each + overhead_s) * (segments / parallel)
    elif work.segment_s is None:
        segments = work.repeats * work.segments
    return StageEstimate(
        stage=work.stage,
        segments=segments,
        seconds=seconds,
        written_bytes=work.written_bytes,
        memory_bytes=work.memory_bytes,
    )


def speed_at(calibration: Calibration, name: str, width: int) -> float:
    """A speed of a device, by its name in `Calibration`, for models of that width."""
    found: float | list[Rate] = getattr(calibration, name)
    return _at_width(found, width) if isinstance(found, list) else found


def _at_width(rates: list[Rate], width: int) -> float:
    """The power law through the two measured widths; beyond the widest the speed stays the same."""
    narrow, wide = min(rates, key=lambda rate: rate.d_model), max(rates, key=lambda rate: rate.d_model)
    if narrow.d_model == wide.d_model or width >= wide.d_model:
        return wide.per_s
    exponent = log(wide.per_s / narrow.per_s) / log(wide.d_model / narrow.d_model)
    return narrow.per_s * exp(exponent * log(max(1, width) / narrow.d_model))
