"""Frames: the shapes of a declarative and their probabilities.

A declarative is a subject, an auxiliary that agrees with it, and an intransitive verb or a transitive verb with an
object. Subject and object each carry at most one modifier.

A frame is a choice of both modifiers and of the number of every noun that is free to have one. It fixes the category
of each word, and no two frames have the same categories, so a sentence has exactly one parse. There are 6 · 7 = 42
templates (pairs of modifiers) and 272 frames.

Sources: McCoy et al. 2020; Murty et al. 2023.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.errors import InvalidInput
from workers.training.question_formation.lexicon import Category


class Number(StrEnum):
    """Grammatical number of a noun."""

    SINGULAR = "singular"
    PLURAL = "plural"


class Modifier(StrEnum):
    """The modifier after the noun of a subject or an object."""

    BARE = "bare"
    PP = "pp"  # preposition, determiner, noun
    SI = "si"  # relative clause on its subject, intransitive: "who does sleep"
    ST = "st"  # relative clause on its subject, transitive: "who does admire my yak"
    OS = "os"  # relative clause on its object, with a singular subject: "that my yak does admire"
    OP = "op"  # the same with a plural subject: "that my yaks do admire"

    @property
    def is_relative_clause(self) -> bool:
        return self in (Modifier.SI, Modifier.ST, Modifier.OS, Modifier.OP)

    @property
    def is_object_relative(self) -> bool:
        return self in (Modifier.OS, Modifier.OP)


ObjectType = Modifier | None  # None: the main verb is intransitive
_NOUN = {Number.SINGULAR: Category.NOUN_SINGULAR, Number.PLURAL: Category.NOUN_PLURAL}
_AUXILIARY = {Number.SINGULAR: Category.AUXILIARY_SINGULAR, Number.PLURAL: Category.AUXILIARY_PLURAL}
_AUXILIARIES = frozenset(_AUXILIARY.values())


@dataclass(frozen=True)
class Frame:
    """One shape of a declarative.

    Attributes:
        subject, object: the modifiers; `object` None is an intransitive main verb.
        numbers: grammatical numbers of the free nouns, from left to right; the subject of an object relative is not
            free.
        categories: the category of every word, without the full stop.
        main_auxiliary: the position of the main auxiliary.
        auxiliaries: positions of all auxiliaries.
    """

    subject: Modifier
    object: ObjectType
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    main_auxiliary: int
    auxiliaries: tuple[int, ...]


def _modified(modifier: Modifier, head: Number) -> Iterator[tuple[tuple[Number, ...], tuple[Category, ...]]]:
    """The numbers and categories of a modifier after a noun of number `head`."""
    relativizer, determiner = Category.RELATIVIZER, Category.DETERMINER
    intransitive, transitive = Category.VERB_INTRANSITIVE, Category.VERB_TRANSITIVE
    if modifier is Modifier.BARE:
        yield (), ()
    elif modifier is Modifier.SI:
        yield (), (relativizer, _AUXILIARY[head], intransitive)
    elif modifier.is_object_relative:
        own = Number.SINGULAR if modifier is Modifier.OS else Number.PLURAL
        yield (), (relativizer, determiner, _NOUN[own], _AUXILIARY[own], transitive)
    else:
        before = (Category.PREPOSITION,) if modifier is Modifier.PP else (relativizer, _AUXILIARY[head], transitive)
        for number in Number:
            yield (number,), (*before, determiner, _NOUN[number])


def _noun_phrases(modifier: Modifier) -> Iterator[tuple[tuple[Number, ...], tuple[Category, ...]]]:
    for head in Number:
        for numbers, categories in _modified(modifier, head):
            yield (head, *numbers), (Category.DETERMINER, _NOUN[head], *categories)


def _predicates(object_type: ObjectType) -> Iterator[tuple[tuple[Number, ...], tuple[Category, ...]]]:
    if object_type is None:
        yield (), (Category.VERB_INTRANSITIVE,)
        return
    for numbers, categories in _noun_phrases(object_type):
        yield numbers, (Category.VERB_TRANSITIVE, *categories)


def _frames() -> Iterator[Frame]:
    for subject in Modifier:
        for object_type in (None, *Modifier):
            for numbers, before in _noun_phrases(subject):
                for more_numbers, after in _predicates(object_type):
                    categories = (*before, _AUXILIARY[numbers[0]], *after)
                    positions = tuple(at for at, category in enumerate(categories) if category in _AUXILIARIES)
                    yield Frame(subject, object_type, numbers + more_numbers, categories, len(before), positions)


FRAMES: Final = tuple(_frames())
MAX_WORDS: Final = max(len(frame.categories) for frame in FRAMES)  # 16; with `.` 17; a line has 35 tokens at most


@dataclass(frozen=True)
class StructureProbabilities:
    """Probabilities of the subject's modifier and, independently, of the predicate; a free number is 1/2 : 1/2.

    Raises:
        InvalidInput: a probability is negative or either table does not add up to 1.
    """

    subject: Mapping[Modifier, float]
    object: Mapping[ObjectType, float]

    def __post_init__(self) -> None:
        for field, table in (("subject", self.subject), ("object", self.object)):
            if not all(p >= 0 for p in table.values()) or not math.isclose(sum(table.values()), 1, abs_tol=1e-9):
                raise InvalidInput("structure probabilities must be ≥ 0 and add up to 1", field=field)

    def of_template(self, subject: Modifier, object_type: ObjectType) -> float:
        """Probability of a pair of modifiers; one that is not in a table has probability 0."""
        return self.subject.get(subject, 0.0) * self.object.get(object_type, 0.0)

    def of_frame(self, frame: Frame) -> float:
        """Probability of a frame: the template's, times 1/2 for each free number."""
        return self.of_template(frame.subject, frame.object) / 2 ** len(frame.numbers)


# Maximum likelihood on the published training, development and test lines, without the template that de-duplication
# has exhausted (5 words). The published context-free grammar has other weights: those of the generalisation set.
TRAINING = StructureProbabilities(
    subject={
        Modifier.BARE: 0.5115, Modifier.PP: 0.2058, Modifier.SI: 0.0705, Modifier.ST: 0.0697, Modifier.OS: 0.0694,
        Modifier.OP: 0.0731,
    },
    object={
        None: 0.2231, Modifier.BARE: 0.2313, Modifier.PP: 0.2351, Modifier.SI: 0.1566, Modifier.ST: 0.0788,
        Modifier.OS: 0.0384, Modifier.OP: 0.0367,
    },
)  # fmt: skip
QUESTION_GR = StructureProbabilities(
    subject={
        Modifier.BARE: 1 / 3, Modifier.PP: 1 / 3, Modifier.SI: 1 / 9, Modifier.ST: 1 / 9, Modifier.OS: 1 / 18,
        Modifier.OP: 1 / 18,
    },
    object={
        None: 1 / 2, Modifier.BARE: 1 / 6, Modifier.PP: 1 / 6, Modifier.SI: 1 / 18, Modifier.ST: 1 / 18,
        Modifier.OS: 1 / 36, Modifier.OP: 1 / 36,
    },
)  # fmt: skip
