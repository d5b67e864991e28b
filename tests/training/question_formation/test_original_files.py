"""The file names of both publications, and the strictness of the reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import InvalidInput
from workers.training.question_formation import original_files
from workers.training.question_formation.checks import check_splits
from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.original_files import FILES, Layout, read_folder
from workers.training.question_formation.splits import Splits

GOOD = "our zebra does read . quest\tdoes our zebra read ?\n"


def write(folder: Path, splits: Splits, layout: Layout) -> None:
    for name, file in FILES[layout].items():
        (folder / file).write_text("".join(f"{line.text}\n" for line in splits.named()[name]))


def test_mccoys_names(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "mccoy")
    (tmp_path / "README").write_text("other files do not matter")
    found = read_folder(tmp_path, grammar)
    assert found.layout == "mccoy"
    assert found.splits == small
    check_splits(found.splits, grammar)


def test_murtys_test_is_the_generalisation_set(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "murty")
    found = read_folder(tmp_path, grammar)
    assert found.layout == "murty"
    assert found.splits.gen == small.gen
    assert found.splits.test == ()
    check_splits(found.splits, grammar)


def test_names_of_both_are_ambiguous(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "mccoy")
    write(tmp_path, small, "murty")
    with pytest.raises(InvalidInput, match="cannot be decided") as refused:
        read_folder(tmp_path, grammar)
    assert refused.value.field == "folder"


def test_a_folder_without_such_files(tmp_path: Path, grammar: Grammar):
    with pytest.raises(InvalidInput, match="neither"):
        read_folder(tmp_path, grammar)


def test_a_missing_file_is_named(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "mccoy")
    (tmp_path / "question.test").unlink()
    with pytest.raises(InvalidInput, match=r"question\.test cannot be read"):
        read_folder(tmp_path, grammar)


def test_a_directory_in_the_place_of_a_file(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "mccoy")
    (tmp_path / "question.test").unlink()
    (tmp_path / "question.test").mkdir()
    with pytest.raises(InvalidInput, match="not a regular file"):
        read_folder(tmp_path, grammar)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "question.train is empty"),
        (GOOD.encode() + b"\n", "line 2: a line is"),
        (GOOD.encode() * 2 + b"our zebra do read . decl\tour zebra do read .\n", "line 3: .*agree"),
        (GOOD.replace("\n", "\r\n").encode(), "line 1: a carriage return"),
        ("our zébra does read . decl\tour zébra does read .\n".encode(), "line 1: .*ASCII"),
        (GOOD.encode() + b"x" * 5_000, "line 2: longer than 4,096 bytes"),
        (GOOD.encode() * 6, "more than 5 lines"),
    ],
)
def test_strict_and_bounded(
    tmp_path: Path, grammar: Grammar, small: Splits, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
):
    monkeypatch.setattr(original_files, "MAX_LINES", 5)
    write(tmp_path, small, "mccoy")
    (tmp_path / "question.train").write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as refused:
        read_folder(tmp_path, grammar)
    assert refused.value.field == "folder"


def test_the_last_line_feed_may_be_missing(tmp_path: Path, grammar: Grammar, small: Splits):
    write(tmp_path, small, "murty")
    (tmp_path / "question.train").write_text(GOOD + GOOD.removesuffix("\n"))
    assert len(read_folder(tmp_path, grammar).splits.train) == 2
