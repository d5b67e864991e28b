"""The published files, or others of their form, from a folder.

Two publications give the same names to different things:

    split                        McCoy et al. 2020    Murty et al. 2023
    training                     question.train       question.train
    validation                   question.dev         question.val
    i.i.d. test                  question.test        (none)
    generalisation               question.gen         question.test

So `question.test` is the generalisation set exactly when a `question.val` is there.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from service.errors import InvalidInput
from workers.training.data import Tick, no_tick
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.splits import MAX_LINES, SplitName, Splits

Layout = Literal["mccoy", "murty"]
FILES: Final[dict[Layout, dict[SplitName, str]]] = {
    "mccoy": {"train": "question.train", "val": "question.dev", "test": "question.test", "gen": "question.gen"},
    "murty": {"train": "question.train", "val": "question.val", "gen": "question.test"},
}
_TICK_LINES = 10_000
_MAX_LINE_BYTES = 4_096  # a line of the standard lexicon has at most 35 tokens of at most 15 bytes


@dataclass(frozen=True)
class OriginalFiles:
    """The splits read from a folder, and the layout of its file names; with Murty's, `splits.test` is empty."""

    splits: Splits
    layout: Layout


def read_folder(folder: Path, grammar: Grammar, tick: Tick = no_tick) -> OriginalFiles:
    """Read and parse every file of the layout that the folder has; other files are ignored.

    Each file is regular, in ASCII, with lines that end in one line feed (the last may lack it), at most 1,000,000 of
    them and at most 4,096 bytes each. `checks.check_splits` checks the content of the splits.

    Raises:
        InvalidInput: neither or both layouts, a file is missing, empty or not regular, or a line (counted from 1) is
            too long, not ASCII, or not a line of the grammar.
    """
    layout = _layout(folder)
    read = {name: _read_file(folder / file, grammar, tick) for name, file in FILES[layout].items()}
    splits = Splits(train=read["train"], val=read["val"], test=read.get("test", ()), gen=read["gen"])
    return OriginalFiles(splits, layout)


def _layout(folder: Path) -> Layout:
    mccoy = any((folder / FILES["mccoy"][name]).exists() for name in ("val", "gen"))
    murty = (folder / FILES["murty"]["val"]).exists()
    if mccoy and murty:
        raise InvalidInput(
            "the folder has question.val (Murty's names) beside question.dev or question.gen (McCoy's): what "
            "question.test is cannot be decided",
            field="folder",
        )
    if not mccoy and not murty:
        raise InvalidInput("the folder has neither question.dev and question.gen nor question.val", field="folder")
    return "mccoy" if mccoy else "murty"


def _read_file(path: Path, grammar: Grammar, tick: Tick) -> tuple[Line, ...]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput(f"{path.name} is not a regular file", field="folder")
        lines = _parse_file(path, grammar, tick)
    except OSError as error:
        raise InvalidInput(f"{path.name} cannot be read: {error.strerror}", field="folder") from None
    if not lines:
        raise InvalidInput(f"{path.name} is empty", field="folder")
    return tuple(lines)


def _parse_file(path: Path, grammar: Grammar, tick: Tick) -> list[Line]:
    lines: list[Line] = []
    with path.open("rb") as file:
        while raw := file.readline(_MAX_LINE_BYTES + 1):
            if len(lines) % _TICK_LINES == 0:
                tick()
            where = f"{path.name}, line {len(lines) + 1}"
            if len(lines) == MAX_LINES:
                raise InvalidInput(f"{path.name} has more than {MAX_LINES:,} lines", field="folder")
            if len(raw) > _MAX_LINE_BYTES:
                raise InvalidInput(f"{where}: longer than {_MAX_LINE_BYTES:,} bytes", field="folder")
            if b"\r" in raw or not raw.isascii():
                raise InvalidInput(f"{where}: a carriage return, or a byte that is not ASCII", field="folder")
            try:
                lines.append(grammar.parse(raw.decode("ascii").removesuffix("\n")))
            except InvalidInput as error:
                raise InvalidInput(f"{where}: {error.detail}", field="folder") from None
    return lines
