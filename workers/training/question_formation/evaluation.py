"""Evaluation of a language model on Question-Formation: losses by part, first auxiliaries, exact answers.

The model is a callable (`Logits`). Lines are padded on the right, which a causal model does not see.

Sources: McCoy et al. 2020 (the generalisation measures); Murty et al. 2023 (first-auxiliary accuracy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from service.errors import InvalidInput
from workers.training.question_formation.frames import Modifier
from workers.training.question_formation.grammar import Line
from workers.training.question_formation.vocabulary import EncodedLines, Part, Vocabulary, encode, in_order

Array = np.ndarray
# (B, T) int64 tokens on the CPU → (B, T, V) logits on any device, causal, dropout off; position t predicts token t + 1.
Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Tally:
    """`count` of `lines`."""

    count: int
    lines: int

    @property
    def share(self) -> float | None:
        """count / lines; None where there are no lines."""
        return self.count / self.lines if self.lines else None


@dataclass(frozen=True)
class PartLoss:
    """The sum of −ln p over the targets of one part, in nats, and the number of its targets."""

    nats: float
    targets: int

    @property
    def mean(self) -> float:
        """Nats per target of the part."""
        return self.nats / self.targets


@dataclass(frozen=True)
class Losses:
    """Loss of a set of lines by part; all means are over targets of the whole set, not over batches.

    Attributes:
        declarative: with the full stop.
        task: one target per line.
        output: with the end-of-sequence token.
        lines: the number of lines.
    """

    declarative: PartLoss
    task: PartLoss
    output: PartLoss
    lines: int

    @property
    def whole(self) -> PartLoss:
        """All targets; its mean is Murty's loss."""
        parts = (self.declarative, self.task, self.output)
        return PartLoss(sum(part.nats for part in parts), sum(part.targets for part in parts))

    @property
    def per_line(self) -> float:
        """Nats per line."""
        return self.whole.nats / self.lines


@dataclass(frozen=True)
class InDistribution:
    """Answers on lines like those of the training set.

    Attributes:
        first_auxiliary: questions whose first word is right among the four auxiliaries (Murty's accuracy).
        first_word: questions whose first word is right among all tokens.
        exact_quest, exact_decl: questions and declaratives whose greedily decoded output is entirely right.
    """

    first_auxiliary: Tally
    first_word: Tally
    exact_quest: Tally
    exact_decl: Tally


@dataclass(frozen=True)
class Generalisation:
    """Answers on the generalisation set, or on the part of it with one kind of relative clause.

    The first word of an answer, among all tokens, is exactly one of: right (the main auxiliary), `move_first` (the
    other auxiliary of the input, which is its first), `absent_auxiliary` (one that is not in the input) and
    `non_auxiliary`.

    Attributes:
        first_auxiliary: the first word is right among the four auxiliaries.
        first_word: it is right among all tokens; the main measure.
        full_sentence: the greedily decoded output is entirely right.
    """

    first_auxiliary: Tally
    first_word: Tally
    full_sentence: Tally
    move_first: Tally
    absent_auxiliary: Tally
    non_auxiliary: Tally


@dataclass(frozen=True)
class GeneralisationReport:
    """Answers on all lines, and by relative clause of the subject: "si", "st", and "orc" for both object relatives."""

    all: Generalisation
    by_clause: dict[str, Generalisation]


@dataclass(frozen=True)
class _Answers:
    """(n,) per line: the id of the first word, the most likely auxiliary there, and whether the output is exact."""

    first_word: Array
    first_auxiliary: Array
    exact: Array


@torch.inference_mode()
def losses(logits: Logits, encoded: EncodedLines, batch: int = 64) -> Losses:
    """Loss by part; log-probabilities in float32, sums in float64."""
    nats = dict.fromkeys(Part, 0.0)
    targets = dict.fromkeys(Part, 0)
    for lines in in_order(encoded, batch):
        found = logits(lines.inputs).float()
        costs = torch.nn.functional.cross_entropy(
            found.flatten(0, 1), lines.targets.flatten().to(found.device), reduction="none"
        )
        costs = costs.double().cpu().view_as(lines.parts)
        for part in Part:
            of_part = lines.parts == part
            nats[part] += float(costs[of_part].sum())
            targets[part] += int(of_part.sum())
    by_part = {part: PartLoss(nats[part], targets[part]) for part in Part}
    return Losses(by_part[Part.DECLARATIVE], by_part[Part.TASK], by_part[Part.OUTPUT], len(encoded))


def in_distribution(logits: Logits, lines: Sequence[Line], vocabulary: Vocabulary, batch: int = 64) -> InDistribution:
    """First auxiliaries of questions, and exact match of both tasks.

    Raises:
        InvalidInput: no lines, or a word that is not in the vocabulary.
    """
    answers = _answers(logits, lines, vocabulary, batch)
    quest = np.array([line.task == "quest" for line in lines])
    main = np.array([vocabulary.ids[line.sentence.main_auxiliary] for line in lines])
    return InDistribution(
        first_auxiliary=_tally(answers.first_auxiliary == main, quest),
        first_word=_tally(answers.first_word == main, quest),
        exact_quest=_tally(answers.exact, quest),
        exact_decl=_tally(answers.exact, ~quest),
    )


def generalisation(
    logits: Logits, lines: Sequence[Line], vocabulary: Vocabulary, batch: int = 64
) -> GeneralisationReport:
    """First words and full sentences on lines of the generalisation set (`splits.belongs_in_gen`).

    Baselines of the first word: always the first auxiliary 0, always the main one 1, uniform over the four 1/4,
    uniform over the two in the input 1/2.

    Raises:
        InvalidInput: no lines, a word that is not in the vocabulary, or a line with other than two auxiliaries, of
            which the second is the main one.
    """
    if any(line.sentence.frame.main_auxiliary != line.sentence.frame.auxiliaries[-1] for line in lines) or any(
        len(set(line.sentence.auxiliaries)) != 2 or len(line.sentence.auxiliaries) != 2 for line in lines
    ):
        raise InvalidInput("generalisation lines have two different auxiliaries, the second the main one", field="gen")
    answers = _answers(logits, lines, vocabulary, batch)
    clauses = np.array([_clause(line.sentence.frame.subject) for line in lines])
    by_clause = {
        str(clause): _generalisation(answers, lines, vocabulary, clauses == clause) for clause in np.unique(clauses)
    }
    return GeneralisationReport(_generalisation(answers, lines, vocabulary, np.ones(len(lines), bool)), by_clause)


@torch.inference_mode()
def _answers(logits: Logits, lines: Sequence[Line], vocabulary: Vocabulary, batch: int) -> _Answers:
    """Answers from one forward pass over the whole lines.

    Greedy decoding gives the right output exactly when, at each of its positions, the most likely token after the
    right beginning is the right one: by induction the decoded beginning is then the right one. So exact match needs
    no decoding; the two can differ only where two logits are equal up to rounding.
    """
    auxiliaries = torch.tensor(vocabulary.auxiliary_ids)
    first_words, first_auxiliaries, exact = [], [], []
    for encoded in in_order(encode(lines, vocabulary), batch):
        found = logits(encoded.inputs)
        output = encoded.parts == Part.OUTPUT
        likeliest = found.argmax(dim=-1).cpu()
        exact.append(((likeliest == encoded.targets) | ~output).all(dim=1))
        rows, first = torch.arange(len(output)), output.int().argmax(dim=1)  # argmax: the first of equals
        first_words.append(likeliest[rows, first])
        of_first = found[rows.to(found.device), first.to(found.device)].float().cpu()
        first_auxiliaries.append(auxiliaries[of_first[:, auxiliaries].argmax(dim=1)])
    return _Answers(*(torch.cat(parts).numpy() for parts in (first_words, first_auxiliaries, exact)))


def _clause(subject: Modifier) -> str:
    return "orc" if subject.is_object_relative else subject.value


def _generalisation(answers: _Answers, lines: Sequence[Line], vocabulary: Vocabulary, chosen: Array) -> Generalisation:
    pairs = np.array([[vocabulary.ids[word] for word in line.sentence.auxiliaries] for line in lines])
    other, main = pairs[:, 0], pairs[:, 1]
    word = answers.first_word
    auxiliary = np.isin(word, vocabulary.auxiliary_ids)
    return Generalisation(
        first_auxiliary=_tally(answers.first_auxiliary == main, chosen),
        first_word=_tally(word == main, chosen),
        full_sentence=_tally(answers.exact, chosen),
        move_first=_tally(word == other, chosen),
        absent_auxiliary=_tally(auxiliary & (word != main) & (word != other), chosen),
        non_auxiliary=_tally(~auxiliary, chosen),
    )


def _tally(held: Array, chosen: Array) -> Tally:
    return Tally(int((held & chosen).sum()), int(chosen.sum()))
