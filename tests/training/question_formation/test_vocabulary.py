"""Ids, part labels, padding, and batches as a function of the step."""

from __future__ import annotations

import pytest
import torch

from service.errors import InvalidInput
from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.lexicon import Lexicon, one_noun
from workers.training.question_formation.splits import Splits
from workers.training.question_formation.vocabulary import (
    Batch,
    Part,
    ShuffledBatches,
    Vocabulary,
    encode,
    in_order,
)

VOCABULARY = Vocabulary(Lexicon())


def test_ids_are_the_published_ones():
    assert (VOCABULARY.eos, VOCABULARY.sos, VOCABULARY.size) == (69, 70, 71)
    assert sorted(VOCABULARY.ids.values()) == list(range(1, 69))
    assert [VOCABULARY.word(at) for at in range(1, 69)] == sorted(VOCABULARY.ids)
    assert [VOCABULARY.word(at) for at in (0, 69, 70)] == ["<pad>", "<eos>", "<sos>"]
    assert [VOCABULARY.word(at) for at in VOCABULARY.auxiliary_ids] == ["does", "doesn't", "do", "don't"]


def test_two_lines_of_different_lengths(grammar: Grammar):
    lines = [
        grammar.parse("our zebra does read . quest\tdoes our zebra read ?"),
        grammar.parse("my yaks don't amuse our newt . decl\tmy yaks don't amuse our newt ."),
    ]
    batch = next(in_order(encode(lines, VOCABULARY), 2))
    words = [" ".join(VOCABULARY.word(token) for token in row) for row in batch.targets.tolist()]
    assert words == [
        "our zebra does read . quest does our zebra read ? <eos> <pad> <pad> <pad> <pad>",
        "my yaks don't amuse our newt . decl my yaks don't amuse our newt . <eos>",
    ]
    inputs = [" ".join(VOCABULARY.word(token) for token in row) for row in batch.inputs.tolist()]
    assert inputs == [
        "<sos> our zebra does read . quest does our zebra read ? <pad> <pad> <pad> <pad>",
        "<sos> my yaks don't amuse our newt . decl my yaks don't amuse our newt .",
    ]
    assert batch.parts.tolist() == [
        [Part.DECLARATIVE] * 5 + [Part.TASK] + [Part.OUTPUT] * 6 + [Part.PADDING] * 4,
        [Part.DECLARATIVE] * 7 + [Part.TASK] + [Part.OUTPUT] * 8,
    ]
    assert batch.lengths.tolist() == [12, 16]
    assert batch.inputs.dtype == batch.targets.dtype == batch.lengths.dtype == torch.int64
    assert batch.parts.dtype == torch.uint8


def test_parts_of_many_lines(small: Splits):
    encoded = encode(small.train, VOCABULARY)
    assert len(encoded) == len(small.train)
    assert len(encoded.tokens) == len(encoded.parts) == sum(len(line.tokens) + 1 for line in small.train)
    for row, line in enumerate(small.train):
        tokens = encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]]
        parts = encoded.parts[encoded.offsets[row] : encoded.offsets[row + 1]]
        assert tuple(VOCABULARY.word(token) for token in tokens[parts == Part.DECLARATIVE]) == line.declarative
        assert [VOCABULARY.word(token) for token in tokens[parts == Part.TASK]] == [line.task]
        assert tuple(VOCABULARY.word(token) for token in tokens[parts == Part.OUTPUT]) == (*line.output, "<eos>")


def test_every_line_comes_once_an_epoch_in_a_new_order(small: Splits):
    encoded = encode(small.train[:101], VOCABULARY)
    batches = ShuffledBatches(encoded, batch=8, seed=0)
    assert batches.steps_per_epoch == 13
    epochs = [[batches.at(step) for step in range(13 * epoch, 13 * epoch + 13)] for epoch in range(2)]
    texts = [[text for batch in epoch for text in _lines(batch)] for epoch in epochs]
    expected = sorted(" ".join(line.tokens) for line in small.train[:101])
    assert sorted(texts[0]) == sorted(texts[1]) == expected
    assert texts[0] != texts[1]
    assert [len(batch.targets) for batch in epochs[0]] == [8] * 12 + [5]


def _lines(batch: Batch) -> list[str]:
    rows = zip(batch.targets.tolist(), batch.lengths.tolist(), strict=True)
    return [" ".join(VOCABULARY.word(token) for token in row[: length - 1]) for row, length in rows]


def test_a_step_alone_determines_its_batch(small: Splits):
    encoded = encode(small.train, VOCABULARY)
    walked = ShuffledBatches(encoded, batch=7, seed=5)
    until = [walked.at(step) for step in range(700)]
    for step in (0, 3, 285, 286, 699):  # a resumed run starts at a late step
        resumed = ShuffledBatches(encoded, batch=7, seed=5).at(step)
        assert torch.equal(resumed.inputs, until[step].inputs)
        assert torch.equal(resumed.targets, until[step].targets)
        assert torch.equal(resumed.parts, until[step].parts)
    other = ShuffledBatches(encoded, batch=7, seed=6).at(0)
    assert not torch.equal(other.lengths, until[0].lengths) or not torch.equal(other.inputs, until[0].inputs)


def test_invalid_lines_and_batches_are_refused(small: Splits):
    with pytest.raises(InvalidInput, match="no lines"):
        encode([], VOCABULARY)
    with pytest.raises(InvalidInput, match="not in the vocabulary"):
        encode(small.train, Vocabulary(one_noun()))
    encoded = encode(small.val, VOCABULARY)
    for batch, seed, field in ((0, 0, "batch"), (8, -1, "seed")):
        with pytest.raises(InvalidInput) as refused:
            ShuffledBatches(encoded, batch, seed)
        assert refused.value.field == field
