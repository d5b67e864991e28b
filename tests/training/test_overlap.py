"""Repeated text is found and removed."""

from __future__ import annotations

import numpy as np
import pytest

from workers.training import overlap
from workers.training.overlap import STRETCH, first_occurrences, without_repeats


def slowly(training: np.ndarray, held_out: np.ndarray) -> list[int]:
    """The first occurrences by their definition."""
    starts = np.unique(np.linspace(0, len(held_out) - STRETCH, 1_000, dtype=np.int64))
    text = training.astype(np.uint16).tobytes()
    places = []
    for start in starts:
        wanted, at = held_out[start : start + STRETCH].astype(np.uint16).tobytes(), -1
        while (at := text.find(wanted, at + 1)) % 2 == 1 and at >= 0:
            pass
        places.append(at // 2 if at >= 0 else -1)
    return places


@pytest.mark.parametrize("at_once", [50, 4_000_000])
def test_the_first_place_of_every_stretch_is_found(at_once: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overlap, "_AT_ONCE", at_once)
    generator = np.random.Generator(np.random.PCG64(4))
    training = generator.integers(0, 3, 2_000).astype(np.uint16)
    held_out = np.concatenate([generator.integers(0, 3, 100), training[1_500:1_600], training[40:120], training[40:90]])
    found = first_occurrences(training, held_out.astype(np.uint16))
    assert found.tolist() == slowly(training, held_out)
    assert (found >= 0).any()
    assert (found < 0).any()


def test_runs_of_one_token_are_found_at_their_start():
    training = np.concatenate([np.arange(100), np.zeros(200, dtype=np.int64)])
    assert set(first_occurrences(training, np.zeros(64, dtype=np.int64)).tolist()) == {100}


def test_stretches_of_equal_hash_are_compared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(overlap, "_BASE", np.uint64(0))  # every hash is that of the last token
    generator = np.random.Generator(np.random.PCG64(5))
    training = generator.integers(0, 3, 2_000).astype(np.uint16)
    held_out = np.concatenate([training[700:800], generator.integers(0, 3, 60).astype(np.uint16)])
    assert first_occurrences(training, held_out).tolist() == slowly(training, held_out)


def test_too_little_text_has_no_stretch():
    assert len(first_occurrences(np.arange(100), np.arange(STRETCH - 1))) == 0
    assert first_occurrences(np.arange(5), np.arange(STRETCH)).tolist() == [-1]


def test_a_repeated_paragraph_is_removed():
    texts = ["one\n\ntwo\n\none", " two \n\nthree", "one", "four"]
    assert list(without_repeats(texts)) == ["one\n\ntwo", "three", "four"]
