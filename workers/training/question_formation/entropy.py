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

from service.errors import InvalidInput
from workers.training.question_formation.frames import Frame
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.lexicon import Task

LossKind = Literal["whole", "declarative", "output", "sum"]
Cell = tuple[Frame, Task]


@dataclass(frozen=True)
class LineEntropy:
    """The entropy of a line by its source, in nats per line, and mean numbers of tokens per line.

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


def data_entropy(grammar: Grammar, lines: Sequence[Line]) -> LineEntropy:
    """Entropy of a run's own training lines; a line that is repeated counts once.

    The frequencies of (template, task) are those of the lines, and numbers and words are uniform. The result is the
    mean cost of these lines to a model of the frequencies alone, without memory of single lines. De-duplication acts
    through the frequencies: the share of an exhausted template falls, so lines become longer. Frequencies fitted to n
    lines make the result too small by about (cells − 1)/(2n) nats per line, 3e-4 for 100,000 lines.

    Raises:
        InvalidInput: no lines, or more of a frame than the lexicon of `grammar` has.
    """
    if not lines:
        raise InvalidInput("there are no lines", field="lines")
    counts: Counter[Cell] = Counter((line.sentence.frame, line.task) for line in set(lines))
    if any(count > grammar.sentences(frame) for (frame, _), count in counts.items()):
        raise InvalidInput("the lines are not of this lexicon", field="lines")
    return line_entropy(grammar, counts)


def memorisation_floor(repeats: Collection[int], tokens_per_line: float) -> float:
    """The loss of perfect memorisation in nats per target: ln(n)/tokens where all n lines are distinct.

    A training loss below `LineEntropy.per_token` is evidence of memorisation.

    Args:
        repeats: how often each distinct line occurs; the model has these frequencies.
        tokens_per_line: mean number of targets of a line.

    Raises:
        InvalidInput: there are no lines, or `tokens_per_line` is not positive.
    """
    if not repeats or not tokens_per_line > 0:
        raise InvalidInput("there must be at least one line, and tokens in it", field="lines")
    total = sum(repeats)
    return _entropy(count / total for count in repeats) / tokens_per_line


def line_entropy(grammar: Grammar, weights: Mapping[Cell, float]) -> LineEntropy:
    """Entropy of independent lines, words uniform within a frame.

    Args:
        weights: one for each (frame, task), ≥ 0, with a positive sum; probabilities up to a factor.
    """
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
