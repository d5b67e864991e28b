"""Training, validation, test and generalisation set, drawn from a seed.

Training, validation and i.i.d. test come from one sequence of draws: a sentence and a fair coin for its task. Every
question whose subject carries a relative clause is withheld, so that in all questions seen the first auxiliary is the
main one, and "move the first auxiliary" and "move the main auxiliary" fit equally. A line already drawn is skipped;
this exhausts the shortest template (5,616 lines), so that its share falls along the sequence.

The generalisation set is what was withheld, where the two rules differ: questions with a relative clause on the
subject, none on the object, and two auxiliaries of one number and opposite polarity; one third object relatives.

A shorter training set is the beginning of a longer one from the same seed. Sources: McCoy et al. 2020 and the
statistics of their files (`frames.TRAINING`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from service.errors import InvalidInput
from workers.training.data import Tick, no_tick
from workers.training.question_formation.frames import FRAMES, QUESTION_GR, TRAINING, Modifier, StructureProbabilities
from workers.training.question_formation.grammar import Grammar, Line, Sentence
from workers.training.question_formation.lexicon import TASKS

MAX_LINES = 1_000_000  # of one split
_DRAWS_AT_ONCE = 4_096  # part of the recipe: another number gives other data from the same seed
_MAX_DRAWS_PER_LINE = 50  # the defaults need 1.4; more are needed only for nearly all lines that exist

SplitName = Literal["train", "val", "test", "gen"]


@dataclass(frozen=True)
class SplitSizes:
    """Lines of each split; the defaults are the published sizes.

    Raises:
        InvalidInput: a size is not from 1 to `MAX_LINES`.
    """

    train: int = 100_000
    val: int = 1_000
    test: int = 10_000
    gen: int = 10_000

    def __post_init__(self) -> None:
        for part in fields(self):
            if not 1 <= getattr(self, part.name) <= MAX_LINES:
                raise InvalidInput(f"a split must have from 1 to {MAX_LINES:,} lines", field=part.name)


@dataclass(frozen=True)
class Splits:
    """The four splits; `test` is i.i.d. and empty where the source has none, `gen` is the generalisation set."""

    train: tuple[Line, ...]
    val: tuple[Line, ...]
    test: tuple[Line, ...]
    gen: tuple[Line, ...]

    def named(self) -> dict[SplitName, tuple[Line, ...]]:
        return {"train": self.train, "val": self.val, "test": self.test, "gen": self.gen}


def is_withheld(line: Line) -> bool:
    """Whether the line is a question whose subject carries a relative clause."""
    return line.task == "quest" and line.sentence.frame.subject.is_relative_clause


def belongs_in_gen(line: Line) -> bool:
    """Whether a line is withheld, has no relative clause on the object, and has auxiliaries that differ in polarity.

    The two auxiliaries have one number, "do" and "don't" or "does" and "doesn't", so that agreement does not determine
    which one moves.
    """
    frame = line.sentence.frame
    if not is_withheld(line) or (frame.object is not None and frame.object.is_relative_clause):
        return False
    first, second = frame.auxiliaries
    return frame.categories[first] == frame.categories[second] and len(set(line.sentence.auxiliaries)) == 2


def generate(
    grammar: Grammar,
    sizes: SplitSizes,
    seed: int,
    structure: StructureProbabilities = TRAINING,
    gen_structure: StructureProbabilities = QUESTION_GR,
    tick: Tick = no_tick,
) -> Splits:
    """Draw all splits. No line occurs twice in or among them.

    Raises:
        InvalidInput: the lexicon has, or 50 draws per line give, fewer distinct lines than requested; or `seed` is
            below 0.
    """
    if seed < 0:
        raise InvalidInput("seed must be at least 0", field="seed")
    ordinary_seed, gen_seed = np.random.SeedSequence(seed).spawn(2)
    total = sizes.train + sizes.val + sizes.test
    _require(total, available_lines(grammar, structure), "train")
    _require(sizes.gen, available_gen_lines(grammar, gen_structure), "gen")
    ordinary = _draw_ordinary(grammar, total, ordinary_seed, structure, tick)
    val_end = sizes.train + sizes.val
    return Splits(
        train=tuple(ordinary[: sizes.train]),
        val=tuple(ordinary[sizes.train : val_end]),
        test=tuple(ordinary[val_end:]),
        gen=tuple(_draw_gen(grammar, sizes.gen, gen_seed, gen_structure, tick)),
    )


def available_lines(grammar: Grammar, structure: StructureProbabilities = TRAINING) -> int:
    """Distinct lines of positive probability that are not withheld: two per sentence, one with an RC on the subject."""
    frames = [frame for frame in FRAMES if structure.of_frame(frame) > 0]
    return sum(grammar.sentences(frame) * (1 if frame.subject.is_relative_clause else 2) for frame in frames)


def available_gen_lines(grammar: Grammar, structure: StructureProbabilities = QUESTION_GR) -> int:
    """Distinct lines of positive probability that `belongs_in_gen` admits."""
    structure = _withheld_part(structure)
    frames = [frame for frame in FRAMES if structure.of_frame(frame) > 0]
    agreeing = [frame for frame in frames if len({frame.categories[at] for at in frame.auxiliaries}) == 1]
    return sum(grammar.sentences(frame) // 2 for frame in agreeing)  # half of the pairs of auxiliaries differ


def _require(requested: int, available: int, field: SplitName) -> None:
    if requested > available:
        raise InvalidInput(f"{requested:,} distinct lines are requested; the lexicon gives {available:,}", field=field)


def _sentences(
    grammar: Grammar,
    generator: np.random.Generator,
    lines: int,
    structure: StructureProbabilities,
    field: SplitName,
    tick: Tick,
) -> Iterator[Sentence]:
    for _ in range(0, max(lines * _MAX_DRAWS_PER_LINE, _DRAWS_AT_ONCE), _DRAWS_AT_ONCE):
        tick()
        yield from grammar.draw(generator, _DRAWS_AT_ONCE, structure)
    raise InvalidInput(
        f"{_MAX_DRAWS_PER_LINE} draws per line did not give {lines:,} distinct lines: too many for this lexicon",
        field=field,
    )


def _draw_ordinary(
    grammar: Grammar, count: int, seed: np.random.SeedSequence, structure: StructureProbabilities, tick: Tick
) -> list[Line]:
    sentence_seed, task_seed = seed.spawn(2)
    tasks = _coins(np.random.Generator(np.random.PCG64(task_seed)))
    lines: dict[Line, None] = {}  # a set in the order of insertion
    generator = np.random.Generator(np.random.PCG64(sentence_seed))
    for sentence in _sentences(grammar, generator, count, structure, "train", tick):
        line = Line(sentence, TASKS[next(tasks)])
        if not is_withheld(line):
            lines[line] = None
            if len(lines) == count:
                break
    return list(lines)


def _coins(generator: np.random.Generator) -> Iterator[int]:
    while True:
        yield from generator.integers(0, 2, size=_DRAWS_AT_ONCE).tolist()


def _draw_gen(
    grammar: Grammar, count: int, seed: np.random.SeedSequence, structure: StructureProbabilities, tick: Tick
) -> list[Line]:
    """Draw until both quotas are full, then shuffle: otherwise the last lines would all be object relatives."""
    generator = np.random.Generator(np.random.PCG64(seed))
    quotas = {True: count // 3, False: count - count // 3}  # keys: whether it is an object relative
    lines: dict[Line, None] = {}
    for sentence in _sentences(grammar, generator, count, _withheld_part(structure), "gen", tick):
        line = Line(sentence, "quest")
        kind = sentence.frame.subject.is_object_relative
        if quotas[kind] and belongs_in_gen(line) and line not in lines:
            lines[line] = None
            quotas[kind] -= 1
            if not any(quotas.values()):
                break
    ordered = list(lines)
    return [ordered[at] for at in generator.permutation(count)]


def _withheld_part(structure: StructureProbabilities) -> StructureProbabilities:
    """The structure conditioned on a relative clause on the subject and none on the object.

    Raises:
        InvalidInput: this condition has probability 0.
    """
    subject = {kind: p for kind, p in structure.subject.items() if kind.is_relative_clause}
    others = {kind: p for kind, p in structure.object.items() if kind in (None, Modifier.BARE, Modifier.PP)}
    if not (sum(subject.values()) > 0 and sum(others.values()) > 0):
        raise InvalidInput("the structure gives no line for the generalisation set", field="gen")
    return StructureProbabilities(
        subject={kind: p / sum(subject.values()) for kind, p in subject.items()},
        object={kind: p / sum(others.values()) for kind, p in others.items()},
    )
