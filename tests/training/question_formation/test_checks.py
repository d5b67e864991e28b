"""Each check fails on data that breaks only it, and names the split and the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import InvalidInput
from workers.training.question_formation.checks import check_splits
from workers.training.question_formation.frames import Modifier
from workers.training.question_formation.grammar import Grammar, Line, Sentence
from workers.training.question_formation.lexicon import one_noun
from workers.training.question_formation.splits import Splits


@pytest.mark.long
def test_generated_data_pass_and_are_counted(grammar: Grammar, published_size: Splits):
    report = check_splits(published_size, grammar)
    train = report.splits["train"]
    assert (train.lines, train.distinct_lines) == (100_000, 100_000)
    assert train.tokens == sum(len(line.tokens) for line in published_size.train)
    assert (train.shortest, train.longest) == (11, 35)
    assert report.splits["gen"].quest == 10_000
    assert (report.splits["gen"].shortest, report.splits["gen"].longest) == (17, 31)
    assert report.lexicon_tokens == report.train_tokens_seen == 68
    assert report.gen_by_clause[Modifier.OS] + report.gen_by_clause[Modifier.OP] == 3_333
    assert report.gen_by_clause[Modifier.SI] + report.gen_by_clause[Modifier.ST] == 6_667


def broken(splits: Splits, name: str, line: Line) -> Splits:
    """The splits with the third line of one replaced."""
    lines = getattr(splits, name)
    return replace(splits, **{name: (*lines[:2], line, *lines[3:])})


def test_a_withheld_line_is_found(grammar: Grammar, small: Splits):
    for name in ("train", "val", "test"):
        with pytest.raises(InvalidInput, match=f"{name}, line 3: .*withheld") as refused:
            check_splits(broken(small, name, small.gen[0]), grammar)
        assert refused.value.field == name


def test_a_line_in_two_splits_is_found(grammar: Grammar, small: Splits):
    with pytest.raises(InvalidInput, match="test, line 3: the line is also in train"):
        check_splits(broken(small, "test", small.train[7]), grammar)


@pytest.mark.parametrize(
    "text",
    [
        "our zebra does read . quest\tdoes our zebra read ?",  # no relative clause
        "our zebra who does eat doesn't read . decl\tour zebra who does eat doesn't read .",  # not a question
        "our zebra who does eat does read . quest\tdoes our zebra who does eat read ?",  # one polarity
        "our zebra that my yaks don't amuse does read . quest\tdoes our zebra that my yaks don't amuse read ?",
        "our zebra who does eat doesn't amuse my yak who doesn't eat . quest\t"
        "doesn't our zebra who does eat amuse my yak who doesn't eat ?",  # relative clause on the object
    ],
)
def test_a_line_that_is_no_test_of_generalisation_is_found(grammar: Grammar, small: Splits, text: str):
    with pytest.raises(InvalidInput, match="gen, line 3"):
        check_splits(broken(small, "gen", grammar.parse(text)), grammar)


def test_words_and_agreement_are_checked_on_the_text(grammar: Grammar, small: Splits):
    line = small.train[2]
    wrong = tuple("do" if word.startswith("does") else "does" if word.startswith("do") else word
                  for word in line.sentence.words)  # fmt: skip
    with pytest.raises(InvalidInput, match=r"train, line 3: .*agree"):
        check_splits(broken(small, "train", replace(line, sentence=Sentence(line.sentence.frame, wrong))), grammar)
    with pytest.raises(InvalidInput, match=r"train, line 1: .*lexicon"):
        check_splits(small, Grammar(one_noun()))


def test_a_frame_that_is_not_that_of_the_words_is_found(grammar: Grammar, small: Splits):
    line = small.train[2]
    other = next(each.sentence.frame for each in small.train if each.sentence.frame.main_auxiliary ==
                 line.sentence.frame.main_auxiliary and each.sentence.frame != line.sentence.frame)  # fmt: skip
    with pytest.raises(InvalidInput, match="train, line 3: the text parses to another line"):
        check_splits(broken(small, "train", replace(line, sentence=replace(line.sentence, frame=other))), grammar)


def test_repeated_lines_are_counted_and_an_empty_test_is_allowed(grammar: Grammar, small: Splits):
    report = check_splits(replace(small, train=small.train + small.train[:5], test=()), grammar)
    assert report.splits["train"].lines - report.splits["train"].distinct_lines == 5
    assert (report.splits["test"].lines, report.splits["test"].longest) == (0, 0)
