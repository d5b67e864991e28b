"""Paired timing: both sides alternate, so that a noisy machine treats them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Seconds of ours and of the peer, medians; `ratio` is the median of the pairs' peer / ours."""

    ours_s: float
    peer_s: float
    ratio: float

    def __str__(self) -> str:
        return f"ours {self.ours_s:.3f} s, peer {self.peer_s:.3f} s, peer / ours {self.ratio:.2f}"


def paired(ours: Callable[[], object], peer: Callable[[], object], *, rounds: int = 5) -> Ratio:
    """Time both in turn, after one unmeasured call of each."""
    ours()
    peer()
    pairs = [(_seconds(ours), _seconds(peer)) for _ in range(rounds)]
    return Ratio(
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
