"""Repeated text: removal of repeated paragraphs before training, and the share of the held-out tail in the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np

from workers.training.data import Tick, no_tick

Array = np.ndarray
STRETCH = 32  # tokens
_SAMPLED = 1_000
_AT_ONCE = 4_000_000
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplication by it loses nothing modulo 2⁶⁴


def without_repeats(texts: Iterable[str]) -> Iterator[str]:
    """The texts without paragraphs (between empty lines) that occurred before, in the same text or an earlier one."""
    seen: set[bytes] = set()
    for text in texts:
        kept = []
        for paragraph in text.split("\n\n"):
            digest = blake2b(paragraph.strip().encode(), digest_size=12).digest()
            if digest not in seen:
                seen.add(digest)
                kept.append(paragraph)
        if kept:
            yield "\n\n".join(kept)


def first_occurrences(training: Array, held_out: Array, tick: Tick = no_tick) -> Array:
    """The first occurrences of evenly spaced stretches of `STRETCH` held-out tokens in the training part.

    Args:
        training, held_out: (n,), (m,) token ids.

    Returns:
        (stretches,) int64: the index of the first token, −1 without an occurrence; empty with fewer tokens than that.
    """
    if len(held_out) < STRETCH:
        return np.empty(0, dtype=np.int64)
    starts = np.unique(np.linspace(0, len(held_out) - STRETCH, _SAMPLED, dtype=np.int64))
    distinct, of = np.unique(held_out[starts[:, None] + np.arange(STRETCH)], axis=0, return_inverse=True)
    wanted = _hashes(distinct.ravel())[::STRETCH]
    ranked = np.sort(wanted)
    first = np.full(len(distinct), -1, dtype=np.int64)
    for begin in range(0, len(training) - STRETCH + 1, _AT_ONCE):
        tick()
        hashes = _hashes(training[begin : begin + _AT_ONCE + STRETCH - 1])
        hits = np.flatnonzero(ranked[np.searchsorted(ranked, hashes).clip(max=len(ranked) - 1)] == hashes)
        for value in np.unique(hashes[hits]):
            for stretch in np.flatnonzero((wanted == value) & (first < 0)):
                places = begin + hits[hashes[hits] == value]
                first[stretch] = _first_equal(training, places, distinct[stretch])
    return first[of]


def _first_equal(training: Array, places: Array, stretch: Array) -> int:
    """The first of the candidate places at which the stretch occurs, −1 for none: different text can hash alike."""
    return next((int(at) for at in places if np.array_equal(training[at : at + STRETCH], stretch)), -1)


def _hashes(tokens: Array) -> Array:
    """(n − STRETCH + 1,) uint64: Σ_j (t_{i+j} + 1)·B^(STRETCH−1−j) mod 2⁶⁴ of every stretch."""
    values = tokens.astype(np.uint64) + np.uint64(1)
    n = len(values) - STRETCH + 1
    total = np.zeros(n, dtype=np.uint64)
    for shift in range(STRETCH):
        total = total * _BASE + values[shift : shift + n]
    return total
