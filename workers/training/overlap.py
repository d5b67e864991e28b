"""Text that stands twice: paragraphs left out before training, and how much of the held-out tail was trained on."""

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
    """The texts without the paragraphs (between empty lines) that stood before, in the same text or an earlier one."""
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
    """Where evenly spaced stretches of `STRETCH` held-out tokens first stand in the training part.

    Args:
        training, held_out: (n,), (m,) token ids.

    Returns:
        (stretches,) int64: the place of the first token, −1 where it never does; empty with too few tokens for one.
    """
    if len(held_out) < STRETCH:
        return np.empty(0, dtype=np.int64)
    starts = np.unique(np.linspace(0, len(held_out) - STRETCH, _SAMPLED, dtype=np.int64))
    wanted = _hashes(np.concatenate([held_out[start : start + STRETCH] for start in starts]))[::STRETCH]
    ranked = np.argsort(wanted)
    first = np.full(len(starts), -1, dtype=np.int64)
    for begin in range(0, len(training) - STRETCH + 1, _AT_ONCE):
        tick()
        hashes = _hashes(training[begin : begin + _AT_ONCE + STRETCH - 1])
        places = np.searchsorted(wanted, hashes, sorter=ranked).clip(max=len(wanted) - 1)
        for at in np.flatnonzero(wanted[ranked[places]] == hashes):
            for stretch in np.flatnonzero(wanted == hashes[at]):
                found = training[begin + at : begin + at + STRETCH]
                same = np.array_equal(found, held_out[starts[stretch] : starts[stretch] + STRETCH])
                if first[stretch] < 0 and same:
                    first[stretch] = begin + at
    return first


def _hashes(tokens: Array) -> Array:
    """(n − STRETCH + 1,) uint64: Σ_j (t_{i+j} + 1)·B^(STRETCH−1−j) mod 2⁶⁴ of every stretch."""
    values = tokens.astype(np.uint64) + np.uint64(1)
    n = len(values) - STRETCH + 1
    total = np.zeros(n, dtype=np.uint64)
    for shift in range(STRETCH):
        total = total * _BASE + values[shift : shift + n]
    return total
