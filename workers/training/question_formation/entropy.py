"""The exact entropy of Question-Formation in nats: the least loss that a model of the language can have.

A line's declarative determines its frame (the grammar is unambiguous), and declarative and task determine the output.
So by the chain rule, with no approximation,

    H(line) = H(template) + H(numbers | template) + H(words | frame) + H(task | template) + 0

where a template is the pair of modifiers of subject and object. The first three terms are paid on the declarative's
tokens, the fourth on the task's token, and nothing on the output and the end-of-sequence token. The task is a fair
coin, but certain (`decl`) where the subject carries a relative clause, because those questions are withheld.

A mean loss per token divides a sum over many lines by the sum of their lengths, so floors are ratios of expectations.
Sources: the grammar of McCoy et al. 2020; the loss of Murty et al. 2023; the paper's appendix F.2.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.errors import InvalidInput
from workers.training.question_formation.frames import FRAMES, TRAINING, Frame, StructureProbabilities
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.lexicon import TASKS, Task

LossKind = Literal["whole", "declarative", "output", "sum"]
Cell = tuple[Frame, Task]


@dataclass(frozen=True)
class LineEntropy:
    """Entropy of a line by what is uncertain, in nats per line, and mean numbers of tokens per line.

    Attributes:
        template: modifiers of subject and object.
        numbers: ln 2 for each noun that is free to be singular or plural.
        words: ln(size of the category) for each word of the declarative.
        task: `decl` or `quest`.
        declarative_tokens: with the full stop.
        output_tokens: with the end-of-sequence token: one more than the declarative's.
    """

    template: float
    numbers: float
    words: float
    task: float
    declarative_tokens: float
    output_tokens: float

    @property
    def declarative(self) -> float:
        """Nats per line on the declarative's tokens."""
        return self.template + self.numbers + self.words

    @property
    def per_line(self) -> float:
        """Nats per line on all tokens."""
        return self.declarative + self.task

    @property
    def tokens_per_line(self) -> float:
        """Targets per line: declarative, one task token, output, end of sequence."""
        return self.declarative_tokens + 1 + self.output_tokens

    @property
    def per_token(self) -> float:
        """Nats per target over the whole line: the floor of Murty's loss."""
        return self.per_line / self.tokens_per_line

    def floor(self, loss: LossKind) -> float:
        """The least expected value of a loss.

        `whole`: mean over all targets; `declarative`: mean over the declarative's; `output`: mean over the output's
        and the end-of-sequence token, 0; `sum`: sum over a line's targets, averaged over lines.
        """
        floors: dict[LossKind, float] = {
            "whole": self.per_token,
            "declarative": self.declarative / self.declarative_tokens,
            "output": 0.0,
            "sum": self.per_line,
        }
        return floors[loss]


@dataclass(frozen=True)
class DataEntropy:
    """What a run's own lines cost, and what could be saved by never predicting a line again.

    Attributes:
        expected: as `LineEntropy`, with the data's own frequencies of (template, task) in place of the grammar's, and
            numbers and words uniform. It is the mean cost of these very lines to a model that knows the frequencies
            and nothing about single lines; the reference line of a training curve. De-duplication enters through the
            frequencies: the share of an exhausted template falls, so lines become longer. Frequencies fitted to n
            lines make it too small by about (cells − 1)/(2n) nats per line, 3e-4 for 100,000 lines.
        without_replacement: nats per line that a model would save on top, on average over the first epoch, that knew
            every earlier line and that none returns: −(1/n) Σ ln(1 − j/K), over frames and tasks with K possible
            lines and j = 0 … m−1 of them seen.
        lines: n, the distinct lines.
    """

    expected: LineEntropy
    without_replacement: float
    lines: int

    @property
    def per_token_without_replacement(self) -> float:
        """`expected.per_token` less the saving; no model that learns the language only gets there."""
        return (self.expected.per_line - self.without_replacement) / self.expected.tokens_per_line


def grammar_entropy(
    grammar: Grammar, structure: StructureProbabilities = TRAINING, withhold: bool = True
) -> LineEntropy:
    """Entropy of independent lines of the grammar, without de-duplication; the limit of a large lexicon.

    With `withhold`, questions with a relative clause on the subject have probability 0 and the rest is normalised.
    """
    weights: dict[Cell, float] = {}
    for frame in FRAMES:
        for task in TASKS:
            withheld = withhold and task == "quest" and frame.subject.is_relative_clause
            weights[frame, task] = 0.0 if withheld else structure.of_frame(frame) / 2
    return _line_entropy(grammar, weights)


def data_entropy(grammar: Grammar, lines: Sequence[Line]) -> DataEntropy:
    """Entropy of a run's own training lines; a line that is repeated counts once.

    Raises:
        InvalidInput: no lines, or more of a frame than the lexicon of `grammar` has.
    """
    if not lines:
        raise InvalidInput("there are no lines", field="lines")
    counts: Counter[Cell] = Counter((line.sentence.frame, line.task) for line in set(lines))
    if any(count > grammar.sentences(frame) for (frame, _), count in counts.items()):
        raise InvalidInput("the lines are not of this lexicon", field="lines")
    saved = sum(_saving(grammar.sentences(frame), count) for (frame, _), count in counts.items())
    total = counts.total()
    return DataEntropy(_line_entropy(grammar, counts), saved / total, total)


def memorisation_floor(repeats: Collection[int], tokens_per_line: float) -> float:
    """Nats per target that lines cost a model that knows them all by heart: ln(n)/tokens where all n are distinct.

    A training loss below `LineEntropy.per_token` is on the way there.

    Args:
        repeats: how often each distinct line stands among the lines; known too, where that is more than once.
        tokens_per_line: targets of a line, on average over all of them.

    Raises:
        InvalidInput: there are no lines, or `tokens_per_line` is not positive.
    """
    if not repeats or not tokens_per_line > 0:
        raise InvalidInput("there must be at least one line, and tokens in it", field="lines")
    total = sum(repeats)
    return _entropy(count / total for count in repeats) / tokens_per_line


def _saving(possible: int, seen: int) -> float:
    """−Σ ln(1 − j/K) for j = 0 … m−1; summed rather than by ln Γ, which cancels for K up to 10²²."""
    return float(-np.log1p(-np.arange(seen, dtype=np.float64) / possible).sum())


def _line_entropy(grammar: Grammar, weights: Mapping[Cell, float]) -> LineEntropy:
    """`weights`: of each frame and task, ≥ 0, with a positive sum."""
    total = sum(weights.values())
    templates: dict[Hashable, float] = defaultdict(float)
    with_task: dict[Hashable, float] = defaultdict(float)
    numbers = words = tokens = 0.0
    for (frame, task), weight in weights.items():
        p = weight / total
        templates[frame.subject, frame.object] += p
        with_task[frame.subject, frame.object, task] += p
        numbers += p * len(frame.numbers) * math.log(2)
        words += p * sum(math.log(len(grammar.lexicon.of(category))) for category in frame.categories)
        tokens += p * (len(frame.categories) + 1)
    template = _entropy(templates.values())
    return LineEntropy(
        template=template,
        numbers=numbers,
        words=words,
        task=_entropy(with_task.values()) - template,
        declarative_tokens=tokens,
        output_tokens=tokens + 1,
    )


def _entropy(probabilities: Iterable[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)
