"""Grouping sequences into batches within a token budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def group_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of the sequences of each batch: sorted by length (stably), padded size within the budget.

    The padded size of a batch is its count times its longest sequence; a sequence longer than the budget is a batch of
    its own. The batches depend on the lengths and the budget only, not on the device.
    """
    batches: list[list[int]] = []
    for index in np.argsort(np.asarray(lengths), kind="stable").tolist():
        if batches and (len(batches[-1]) + 1) * lengths[index] <= token_budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def pad_right(sequences: Sequence[Array]) -> Array:
    """(m, longest) int64, zeros after each sequence's end."""
    padded = np.zeros((len(sequences), max(len(sequence) for sequence in sequences)), dtype=np.int64)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
