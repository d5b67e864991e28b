"""Words, frames, the move of the auxiliary, and the errors of the parser."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from service.errors import InvalidInput
from workers.training.question_formation.frames import FRAMES, QUESTION_GR, TRAINING, Modifier, StructureProbabilities
from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.lexicon import LEXICONS, Category, Lexicon, more_nouns


def test_the_published_words():
    lexicon = Lexicon()
    assert len(lexicon.tokens) == 68
    assert {category.name: len(lexicon.of(category)) for category in Category} == {
        "DETERMINER": 6, "NOUN_SINGULAR": 13, "NOUN_PLURAL": 13, "VERB_INTRANSITIVE": 9, "VERB_TRANSITIVE": 9,
        "AUXILIARY_SINGULAR": 2, "AUXILIARY_PLURAL": 2, "PREPOSITION": 8, "RELATIVIZER": 2,
    }  # fmt: skip
    assert lexicon.tokens[:2] == (".", "?")  # sorted


def test_the_lexicons_of_the_controls():
    nouns = {name: make() for name, make in LEXICONS.items()}
    counts = {name: (len(made.nouns_singular), len(made.nouns_plural)) for name, made in nouns.items()}
    assert counts == {
        "standard": (13, 13), "half_nouns": (7, 6), "one_noun": (1, 1), "nouns_x2": (26, 26),
        "nouns_x10": (130, 130), "nouns_x100": (1300, 1300),
    }  # fmt: skip
    assert sorted(Lexicon().nouns_singular + Lexicon().nouns_plural)[:13] == sorted(
        nouns["half_nouns"].nouns_singular + nouns["half_nouns"].nouns_plural
    )
    assert nouns["nouns_x2"].nouns_singular[:13] == Lexicon().nouns_singular
    assert len(set(nouns["nouns_x100"].tokens)) == 68 + 2 * 99 * 13


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"determiners": ()}, "determiners"),
        ({"prepositions": ("near", "")}, "prepositions"),
        ({"relativizers": ("who is",)}, "relativizers"),
        ({"auxiliaries_plural": ("do",)}, "auxiliaries_singular"),
        ({"relativizers": ("who", "near")}, "lexicon"),
        ({"relativizers": ("who", "quest")}, "lexicon"),
    ],
)
def test_a_lexicon_that_would_be_ambiguous_is_refused(change: dict, field: str):
    with pytest.raises(InvalidInput) as refused:
        replace(Lexicon(), **change)
    assert refused.value.field == field


@pytest.mark.parametrize("factor", [0, 101])
def test_more_nouns_has_bounds(factor: int):
    with pytest.raises(InvalidInput):
        more_nouns(factor)


def test_frames_are_unambiguous_and_as_many_as_the_grammar_has():
    assert len(FRAMES) == len({frame.categories for frame in FRAMES}) == 272
    assert len({(frame.subject, frame.object) for frame in FRAMES}) == 42
    assert {len(frame.categories) for frame in FRAMES} >= {4, 16}
    assert min(len(frame.categories) for frame in FRAMES) == 4
    assert max(len(frame.categories) for frame in FRAMES) == 16
    assert {len(frame.auxiliaries) for frame in FRAMES} == {1, 2, 3}
    for structure in (TRAINING, QUESTION_GR):
        assert sum(structure.of_frame(frame) for frame in FRAMES) == pytest.approx(1)


def test_the_shortest_template_has_2808_sentences(grammar: Grammar):
    shortest = [frame for frame in FRAMES if len(frame.categories) == 4]
    assert sum(grammar.sentences(frame) for frame in shortest) == 2_808


@pytest.mark.parametrize("table", [{Modifier.BARE: 0.5}, {Modifier.BARE: 1.5, Modifier.PP: -0.5}])
def test_probabilities_must_be_probabilities(table: dict):
    with pytest.raises(InvalidInput) as refused:
        StructureProbabilities(subject=table, object={None: 1.0})
    assert refused.value.field == "subject"


def test_drawn_frames_and_words_have_their_probabilities(grammar: Grammar):
    count = 20_000
    drawn = grammar.draw(np.random.default_rng(0), count, TRAINING)
    templates = Counter((sentence.frame.subject, sentence.frame.object) for sentence in drawn)
    for (subject, object_type), found in templates.items():
        p = TRAINING.of_template(subject, object_type)
        assert abs(found - count * p) < 5 * np.sqrt(count * p * (1 - p))
    words = Counter(word for sentence in drawn for word in sentence.words)
    for category in Category:
        found = np.array([words[word] for word in grammar.lexicon.of(category)])
        chi_sq = ((found - found.mean()) ** 2 / found.mean()).sum()
        freedom = len(found) - 1
        assert chi_sq < freedom + 5 * np.sqrt(2 * freedom)


def test_drawn_lines_parse_to_themselves_and_have_11_to_35_tokens(grammar: Grammar):
    lines = [grammar.parse(f"{' '.join(s.words)} . decl\t{' '.join(s.words)} .") for s in _sentences(grammar)]
    assert [line.sentence for line in lines] == _sentences(grammar)
    assert {len(line.tokens) for line in lines} <= set(range(11, 36))
    assert all(grammar.parse(line.text) == line for line in lines)


def _sentences(grammar: Grammar) -> list:
    return grammar.draw(np.random.default_rng(1), 3_000, QUESTION_GR)


def test_a_question_moves_the_main_auxiliary_past_a_relative_clause(grammar: Grammar):
    line = grammar.parse(
        "our zebra that some yaks do admire doesn't read . quest\tdoesn't our zebra that some yaks do admire read ?"
    )
    assert line.sentence.frame.subject is Modifier.OP
    assert line.sentence.frame.object is None
    assert line.sentence.main_auxiliary == "doesn't"
    assert line.sentence.auxiliaries == ("do", "doesn't")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("our zebra do read . decl\tour zebra do read .", "agree"),
        ("our zebra near my yaks do read . decl\tour zebra near my yaks do read .", "agree"),
        ("our zebra who do eat does read . decl\tour zebra who do eat does read .", "agree"),
        ("our zebra that my yak do admire does read . decl\tour zebra that my yak do admire does read .", "agree"),
        ("our zebra does . decl\tour zebra does .", "no sentence"),
        ("our zebra does admire . decl\tour zebra does admire .", "no sentence"),
        ("our zebra does growl . decl\tour zebra does growl .", "lexicon"),
        ("our zebra does read . quest\tour zebra does read .", "output"),
        ("our zebra does read . quest\tdoes our zebra read .", "output"),
        ("our zebra does read . decl\tdoes our zebra read ?", "output"),
        ("our zebra that do admire . ask\tx", "task"),
        ("our zebra does read decl\tour zebra does read .", "single spaces"),
        ("our  zebra does read . decl\tour  zebra does read .", "lexicon"),
        ("our zebra does read . decl our zebra does read .", "single spaces"),
        ("our zebra does read . decl\tour zebra does read .\t", "single spaces"),
        ("our zebra does read . decl\tour zebra does read . ", "output"),
        ("our zebra does read . . decl\tour zebra does read . .", "lexicon"),
        ("", "single spaces"),
    ],
)
def test_the_parser_names_the_error(grammar: Grammar, text: str, what: str):
    with pytest.raises(InvalidInput, match=what):
        grammar.parse(text)
