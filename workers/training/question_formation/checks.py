"""Checks of the data before a run starts, on the rendered lines rather than on how they were generated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from service.errors import InvalidInput
from workers.training.data import Tick, no_tick
from workers.training.question_formation.frames import Modifier
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.splits import SplitName, Splits, belongs_in_gen, is_withheld

_TICK_LINES = 10_000


@dataclass(frozen=True)
class SplitReport:
    """Counts of one split.

    Attributes:
        lines, distinct_lines: with and without repetitions.
        quest: lines whose task is `quest`.
        tokens: number of tokens in all lines, both halves and the task, without end-of-sequence tokens.
        shortest, longest: tokens of a line; 0 for an empty split.
    """

    lines: int
    distinct_lines: int
    quest: int
    tokens: int
    shortest: int
    longest: int


@dataclass(frozen=True)
class DataReport:
    """Counts of data that passed every check.

    Attributes:
        splits: by name.
        lexicon_tokens: size of the vocabulary without special tokens; 68 for the standard lexicon.
        train_tokens_seen: the number of them that occur in the training set.
        gen_by_clause: lines of the generalisation set by the relative clause on their subject.
    """

    splits: dict[SplitName, SplitReport]
    lexicon_tokens: int
    train_tokens_seen: int
    gen_by_clause: dict[Modifier, int]


def check_splits(splits: Splits, grammar: Grammar, tick: Tick = no_tick) -> DataReport:
    """Check every line and count.

    Every line's text parses to the line itself (so it has words of the lexicon only, agreement, a shape of the
    grammar, and exactly the output of its task); no line outside the generalisation set is withheld; every line
    of the generalisation set fulfils its conditions; no line is in two splits.

    Raises:
        InvalidInput: a check fails; the message says which, in which split and line (counted from 1), and `field` is
            the split.
    """
    found_in: dict[str, SplitName] = {}
    reports: dict[SplitName, SplitReport] = {}
    for name, lines in splits.named().items():
        texts = [line.text for line in lines]
        for number, (line, text) in enumerate(zip(lines, texts, strict=True), start=1):
            if number % _TICK_LINES == 0:
                tick()
            _check_line(line, text, grammar, name, number)
            if found_in.setdefault(text, name) != name:
                raise _violation(name, number, f"the line is also in {found_in[text]}")
        reports[name] = _report(lines, texts)
    return DataReport(
        splits=reports,
        lexicon_tokens=len(grammar.lexicon.tokens),
        train_tokens_seen=len({token for line in splits.train for token in line.tokens}),
        gen_by_clause=dict(Counter(line.sentence.frame.subject for line in splits.gen)),
    )


def _check_line(line: Line, text: str, grammar: Grammar, name: SplitName, number: int) -> None:
    try:
        parsed = grammar.parse(text)
    except InvalidInput as error:
        raise _violation(name, number, error.detail) from None
    if parsed != line:
        raise _violation(name, number, "the text parses to another line")
    if name == "gen" and not belongs_in_gen(line):
        raise _violation(
            name,
            number,
            "not a question with a relative clause on the subject, none on the object, and two auxiliaries of one "
            "number and opposite polarity",
        )
    if name != "gen" and is_withheld(line):
        raise _violation(name, number, "a question with a relative clause on its subject, which must be withheld")


def _report(lines: tuple[Line, ...], texts: list[str]) -> SplitReport:
    lengths = [len(line.tokens) for line in lines]
    return SplitReport(
        lines=len(lines),
        distinct_lines=len(set(texts)),
        quest=sum(line.task == "quest" for line in lines),
        tokens=sum(lengths),
        shortest=min(lengths, default=0),
        longest=max(lengths, default=0),
    )


def _violation(name: SplitName, number: int, what: str) -> InvalidInput:
    return InvalidInput(f"{name}, line {number}: {what}", field=name)
