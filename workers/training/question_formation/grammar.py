"""The language of Question-Formation: sentences and lines, drawn and parsed.

The output of a line is its declarative (`decl`) or the question of it (`quest`): the main auxiliary moves to the front
and `?` replaces `.`:

    her newts don't accept some yaks . quest ⇥ don't her newts accept some yaks ?

Given its frame, the words of a declarative are uniform and independent. Sources: McCoy et al. 2020; Murty et al. 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.errors import InvalidInput
from workers.training.question_formation.frames import FRAMES, MAX_WORDS, Frame, StructureProbabilities
from workers.training.question_formation.lexicon import FULL_STOP, QUESTION_MARK, TASKS, Category, Lexicon, Task

_TASKS: dict[str, Task] = {task: task for task in TASKS}
_NUMBERLESS = {
    Category.NOUN_PLURAL: Category.NOUN_SINGULAR,
    Category.AUXILIARY_PLURAL: Category.AUXILIARY_SINGULAR,
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A declarative: its frame and its words, without the full stop."""

    frame: Frame
    words: tuple[str, ...]

    @property
    def main_auxiliary(self) -> str:
        return self.words[self.frame.main_auxiliary]

    @property
    def auxiliaries(self) -> tuple[str, ...]:
        """All auxiliaries from left to right, one to three."""
        return tuple(self.words[at] for at in self.frame.auxiliaries)

    @property
    def question(self) -> tuple[str, ...]:
        """The main auxiliary, then the other words in their order, without the question mark."""
        main = self.frame.main_auxiliary
        return (self.words[main], *self.words[:main], *self.words[main + 1 :])


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence and a task."""

    sentence: Sentence
    task: Task

    @property
    def declarative(self) -> tuple[str, ...]:
        """Tokens of the declarative with its full stop."""
        return (*self.sentence.words, FULL_STOP)

    @property
    def output(self) -> tuple[str, ...]:
        """The tokens that the task requires; as many as the declarative has."""
        return self.declarative if self.task == "decl" else (*self.sentence.question, QUESTION_MARK)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Declarative, task and output as one sequence, without the end-of-sequence token."""
        return (*self.declarative, self.task, *self.output)

    @property
    def text(self) -> str:
        """The line of a file, without its end: `declarative . task ⇥ output`."""
        return f"{' '.join(self.declarative)} {self.task}\t{' '.join(self.output)}"


class Grammar:
    """The grammar with the words of one lexicon."""

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon or Lexicon()
        self._category = {word: category for category in Category for word in self.lexicon.of(category)}
        self._frame = {frame.categories: frame for frame in FRAMES}
        self._without_numbers = {_without_numbers(frame.categories) for frame in FRAMES}

    def sentences(self, frame: Frame) -> int:
        """Number of distinct sentences of a frame."""
        return math.prod(len(self.lexicon.of(category)) for category in frame.categories)

    def draw(self, generator: np.random.Generator, count: int, structure: StructureProbabilities) -> list[Sentence]:
        """`count` independent sentences: frames by `structure`, words uniform within their category."""
        probabilities = np.array([structure.of_frame(frame) for frame in FRAMES])
        frames = generator.choice(len(FRAMES), size=count, p=probabilities / probabilities.sum())
        sizes = np.ones((len(FRAMES), MAX_WORDS), dtype=np.int64)
        for at, frame in enumerate(FRAMES):
            sizes[at, : len(frame.categories)] = [len(self.lexicon.of(category)) for category in frame.categories]
        choices = generator.integers(0, sizes[frames])
        words = {category: self.lexicon.of(category) for category in Category}
        drawn: list[Sentence] = []
        for at, row in zip(frames.tolist(), choices.tolist(), strict=True):
            frame = FRAMES[at]
            chosen = zip(frame.categories, row, strict=False)  # the row is as long as the longest frame
            drawn.append(Sentence(frame, tuple([words[category][index] for category, index in chosen])))
        return drawn

    def parse_sentence(self, words: tuple[str, ...]) -> Sentence:
        """The sentence with these words (without the full stop).

        Raises:
            InvalidInput: a token is not a word of the lexicon, a number disagrees, or the words are no sentence.
        """
        try:
            categories = tuple([self._category[word] for word in words])
        except KeyError:
            raise InvalidInput("a token is not a word of the lexicon") from None
        frame = self._frame.get(categories)
        if frame is not None:
            return Sentence(frame, words)
        if _without_numbers(categories) in self._without_numbers:
            raise InvalidInput("an auxiliary does not agree with its subject in number")
        raise InvalidInput("the declarative is no sentence of the grammar")

    def parse(self, text: str) -> Line:
        """The line that `Line.text` renders as `text`.

        Raises:
            InvalidInput: not of the form `declarative . task ⇥ output` with single spaces, not a sentence, or the
                output is not exactly that of the task.
        """
        given, *outputs = text.split("\t")
        tokens = given.split(" ")
        if len(outputs) != 1 or len(tokens) < 3 or tokens[-2] != FULL_STOP:
            raise InvalidInput("a line is a declarative, ` . `, the task, one tab and the output, with single spaces")
        task = _TASKS.get(tokens[-1])
        if task is None:
            raise InvalidInput("the task must be `decl` or `quest`")
        line = Line(self.parse_sentence(tuple(tokens[:-2])), task)
        if outputs[0] != " ".join(line.output):
            raise InvalidInput("the output is not what the task's rule gives")
        return line


def _without_numbers(categories: tuple[Category, ...]) -> tuple[Category, ...]:
    return tuple(_NUMBERLESS.get(category, category) for category in categories)
