"""Token ids, part labels and batches, for a language model over whole lines (Murty et al. 2023).

One line is the sequence w1 … wn = declarative, task, output. The model reads [SOS] w1 … wn and predicts w1 … wn [EOS]:
position t of the targets is predicted from the inputs up to and including t.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from service.errors import InvalidInput
from workers.training.question_formation.grammar import Line
from workers.training.question_formation.lexicon import Lexicon
from workers.training.seeding import SEEDING, Seeding, batch_generator

Array = np.ndarray
PAD = 0


class Part(IntEnum):
    """The part of a line to which a target belongs."""

    PADDING = 0
    DECLARATIVE = 1  # with its full stop
    TASK = 2
    OUTPUT = 3  # with the end-of-sequence token


class Vocabulary:
    """`<pad>` is 0, the tokens of the lexicon in sorted order 1 … N, `eos` N + 1 and `sos` N + 2 (69 and 70)."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.tokens = lexicon.tokens
        self.auxiliaries = lexicon.auxiliaries
        self.ids = {token: at for at, token in enumerate(self.tokens, start=1)}
        self.eos = len(self.tokens) + 1
        self.sos = len(self.tokens) + 2

    @property
    def size(self) -> int:
        """Rows of an embedding: 71 for the standard lexicon."""
        return len(self.tokens) + 3

    @property
    def auxiliary_ids(self) -> list[int]:
        """Ids of the four auxiliaries."""
        return [self.ids[word] for word in self.auxiliaries]

    def word(self, token: int) -> str:
        """The token with this id; `<pad>`, `<eos>` and `<sos>` for the special ones."""
        special = {PAD: "<pad>", self.eos: "<eos>", self.sos: "<sos>"}
        return special.get(token) or self.tokens[token - 1]


@dataclass(frozen=True)
class EncodedLines:
    """The targets of all lines, concatenated.

    Attributes:
        tokens: (N,) int32, each line's w1 … wn [EOS].
        parts: (N,) uint8, the `Part` of each.
        offsets: (lines + 1,) int64; line i is `offsets[i] : offsets[i + 1]`.
        sos: the id of the start token of every input.
    """

    tokens: Array
    parts: Array
    offsets: Array
    sos: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def only(self, rows: Array) -> EncodedLines:
        """The lines with these indices, in this order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return EncodedLines(self.tokens[at], self.parts[at], offsets, self.sos)


@dataclass(frozen=True)
class Batch:
    """Lines padded on the right to the longest of them.

    Attributes:
        inputs: (B, T) int64, [SOS] w1 … wn, then `PAD`.
        targets: (B, T) int64, w1 … wn [EOS], then `PAD`.
        parts: (B, T) uint8, the `Part` of each target; 0 where there is none.
        lengths: (B,) int64, n + 1.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    parts: torch.Tensor
    lengths: torch.Tensor


def encode(lines: Sequence[Line], vocabulary: Vocabulary) -> EncodedLines:
    """Encode lines.

    Raises:
        InvalidInput: no lines, or a word that is not in the vocabulary.
    """
    if not lines:
        raise InvalidInput("there are no lines", field="lines")
    eos, ids = vocabulary.eos, vocabulary.ids
    try:
        tokens = [at for line in lines for at in (*[ids[token] for token in line.tokens], eos)]
    except KeyError:
        raise InvalidInput("a word is not in the vocabulary", field="lines") from None
    declarative = np.array([len(line.sentence.words) + 1 for line in lines], dtype=np.int64)
    counts = np.stack([declarative, np.ones_like(declarative), declarative + 1], axis=1)
    labels = np.array([Part.DECLARATIVE, Part.TASK, Part.OUTPUT], dtype=np.uint8)
    return EncodedLines(
        tokens=np.array(tokens, dtype=np.int32),
        parts=np.repeat(np.tile(labels, len(lines)), counts.ravel()),
        offsets=np.concatenate([[0], np.cumsum(counts.sum(axis=1))]),
        sos=vocabulary.sos,
    )


def pad(encoded: EncodedLines, rows: Array) -> Batch:
    """The batch of the lines with these indices, in this order."""
    starts = encoded.offsets[rows]
    lengths = encoded.offsets[rows + 1] - starts
    columns = np.arange(lengths.max())
    present = columns < lengths[:, None]
    at = np.where(present, starts[:, None] + columns, 0)
    targets = np.where(present, encoded.tokens[at], PAD).astype(np.int64)
    inputs = np.full_like(targets, encoded.sos)
    inputs[:, 1:] = np.where(present[:, 1:], targets[:, :-1], PAD)
    parts = np.where(present, encoded.parts[at], np.uint8(Part.PADDING))
    return Batch(*(torch.from_numpy(array) for array in (inputs, targets, parts, lengths)))


def in_order(encoded: EncodedLines, batch: int) -> Iterator[Batch]:
    """All lines in their order, `batch` at a time, the last batch perhaps smaller."""
    for start in range(0, len(encoded), batch):
        yield pad(encoded, np.arange(start, min(start + batch, len(encoded))))


class ShuffledBatches:
    """Training batches as a function of the step: each epoch is a permutation that (seed, epoch) determines.

    So a run that resumes at a step has the batches of an uninterrupted run. The last batch of an epoch is
    smaller where `batch` does not divide the number of lines.

    Raises:
        InvalidInput: `batch` is below 1 or `seed` below 0.
    """

    def __init__(self, encoded: EncodedLines, batch: int, seed: int) -> None:
        for field, value, least in (("batch", batch, 1), ("seed", seed, 0)):
            if value < least:
                raise InvalidInput(f"{field} must be at least {least}", field=field)
        self._encoded, self._batch, self._seed = encoded, batch, seed
        self._drawn: tuple[int, Seeding] | None = None
        self._order = np.empty(0, dtype=np.int64)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self._encoded) // self._batch)

    def at(self, step: int, seeding: Seeding = SEEDING) -> Batch:
        """The batch of a step, counted from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        wanted: tuple[int, Seeding] = epoch, seeding
        if wanted != self._drawn:
            order = batch_generator(seeding, self._seed, epoch).permutation(len(self._encoded))
            self._drawn, self._order = wanted, order
        return pad(self._encoded, self._order[within * self._batch : (within + 1) * self._batch])
