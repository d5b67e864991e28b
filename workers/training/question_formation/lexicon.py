"""The words of Question-Formation by category (McCoy et al. 2020), and the lexicons of the control experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final, Literal

from service.errors import InvalidInput

Task = Literal["decl", "quest"]
TASKS: Final[tuple[Task, Task]] = ("decl", "quest")
FULL_STOP, QUESTION_MARK = ".", "?"
_OTHER_TOKENS = (*TASKS, FULL_STOP, QUESTION_MARK)

LexiconName = Literal["standard", "half_nouns", "one_noun", "nouns_x2", "nouns_x10", "nouns_x100"]


class Category(StrEnum):
    """The category of a word in a sentence; the value is the field of `Lexicon`."""

    DETERMINER = "determiners"
    NOUN_SINGULAR = "nouns_singular"
    NOUN_PLURAL = "nouns_plural"
    VERB_INTRANSITIVE = "verbs_intransitive"
    VERB_TRANSITIVE = "verbs_transitive"
    AUXILIARY_SINGULAR = "auxiliaries_singular"
    AUXILIARY_PLURAL = "auxiliaries_plural"
    PREPOSITION = "prepositions"
    RELATIVIZER = "relativizers"


@dataclass(frozen=True)
class Lexicon:
    """Words of each category; the default has the published 64, with `decl`, `quest`, `.` and `?` 68 tokens.

    A word belongs to one category, so that a line has one parse. Auxiliaries are (affirmative, negated) pairs.

    Raises:
        InvalidInput: a category is empty, an auxiliary is not a pair, a word is empty, holds white space or occurs
            twice.
    """

    determiners: tuple[str, ...] = ("the", "some", "my", "your", "our", "her")
    nouns_singular: tuple[str, ...] = (
        "newt", "orangutan", "peacock", "quail", "raven", "salamander", "tyrannosaurus", "unicorn", "vulture",
        "walrus", "xylophone", "yak", "zebra",
    )  # fmt: skip
    nouns_plural: tuple[str, ...] = (
        "newts", "orangutans", "peacocks", "quails", "ravens", "salamanders", "tyrannosauruses", "unicorns",
        "vultures", "walruses", "xylophones", "yaks", "zebras",
    )  # fmt: skip
    verbs_intransitive: tuple[str, ...] = ("giggle", "smile", "sleep", "swim", "wait", "move", "change", "read", "eat")
    verbs_transitive: tuple[str, ...] = (
        "entertain", "amuse", "high_five", "applaud", "confuse", "admire", "accept", "remember", "comfort",
    )  # fmt: skip
    auxiliaries_singular: tuple[str, str] = ("does", "doesn't")
    auxiliaries_plural: tuple[str, str] = ("do", "don't")
    prepositions: tuple[str, ...] = ("around", "near", "with", "upon", "by", "behind", "above", "below")
    relativizers: tuple[str, ...] = ("who", "that")

    def __post_init__(self) -> None:
        for part in fields(self):
            words = getattr(self, part.name)
            if not words or any(not word or word.split() != [word] for word in words):
                raise InvalidInput("a category is empty, or a word is empty or holds white space", field=part.name)
        if len(self.auxiliaries_singular) != 2 or len(self.auxiliaries_plural) != 2:
            raise InvalidInput("auxiliaries are pairs: affirmative, negated", field="auxiliaries_singular")
        if len(set(self.tokens)) != len(self.tokens):
            raise InvalidInput("a word occurs twice, or is one of `decl`, `quest`, `.` and `?`", field="lexicon")

    def of(self, category: Category) -> tuple[str, ...]:
        """The words of a category."""
        return getattr(self, category.value)

    @property
    def auxiliaries(self) -> tuple[str, str, str, str]:
        """All four auxiliaries."""
        return (*self.auxiliaries_singular, *self.auxiliaries_plural)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token of the language, sorted."""
        words = [word for category in Category for word in self.of(category)]
        return tuple(sorted([*words, *_OTHER_TOKENS]))


def half_the_nouns() -> Lexicon:
    """The first 13 of the 26 noun forms in dictionary order: 7 singulars and 6 plurals."""
    standard = Lexicon()
    return replace(standard, nouns_singular=standard.nouns_singular[:7], nouns_plural=standard.nouns_plural[:6])


def one_noun() -> Lexicon:
    """One noun, in singular and plural."""
    standard = Lexicon()
    return replace(standard, nouns_singular=standard.nouns_singular[:1], nouns_plural=standard.nouns_plural[:1])


def more_nouns(factor: int) -> Lexicon:
    """`factor` (1 to 100) times the 13 nouns: the published ones, then invented ones with a plural in -s.

    Raises:
        InvalidInput: `factor` is out of range.
    """
    if not 1 <= factor <= 100:
        raise InvalidInput("the factor must be from 1 to 100", field="factor")
    standard = Lexicon()
    added = [_invented_noun(at) for at in range((factor - 1) * len(standard.nouns_singular))]
    return replace(
        standard,
        nouns_singular=(*standard.nouns_singular, *added),
        nouns_plural=(*standard.nouns_plural, *(f"{noun}s" for noun in added)),
    )


LEXICONS: dict[LexiconName, Callable[[], Lexicon]] = {
    "standard": Lexicon,
    "half_nouns": half_the_nouns,
    "one_noun": one_noun,
    "nouns_x2": lambda: more_nouns(2),
    "nouns_x10": lambda: more_nouns(10),
    "nouns_x100": lambda: more_nouns(100),
}


def _invented_noun(at: int) -> str:
    """Two syllables and -nt, distinct for `at` < 65² = 4,225; no word of the standard lexicon has this shape."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprtvz" for vowel in "aeiou"]
    return syllables[at // len(syllables)] + syllables[at % len(syllables)] + "nt"
