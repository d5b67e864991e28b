"""The evaluation of models whose answers are known."""

from __future__ import annotations

import math
from dataclasses import astuple

import pytest
import torch

from service.errors import InvalidInput
from tests.training.question_formation.rule_models import RuleModel, first_word, move, move_main
from workers.training.question_formation.evaluation import Logits, Tally, generalisation, in_distribution, losses
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.lexicon import Lexicon
from workers.training.question_formation.splits import Splits
from workers.training.question_formation.vocabulary import Vocabulary, encode

VOCABULARY = Vocabulary(Lexicon())


def uniform(tokens: torch.Tensor) -> torch.Tensor:
    return torch.zeros(*tokens.shape, VOCABULARY.size)


def test_a_uniform_model_pays_ln_v_everywhere(small: Splits):
    found = losses(uniform, encode(small.val, VOCABULARY), batch=7)
    for part in (found.declarative, found.task, found.output, found.whole):
        assert part.mean == pytest.approx(math.log(71), rel=1e-6)
    words = sum(len(line.sentence.words) for line in small.val)
    assert found.lines == found.task.targets == 100
    assert found.declarative.targets == words + 100
    assert found.output.targets == words + 200
    assert found.per_line == pytest.approx(math.log(71) * (2 * words + 400) / 100, rel=1e-6)


def test_a_model_that_knows_the_rule_pays_nothing_on_the_output(small: Splits, grammar: Grammar):
    found = losses(RuleModel(VOCABULARY, move_main(grammar)), encode(small.val, VOCABULARY))
    assert found.output.mean < 1e-6
    assert found.declarative.mean == found.task.mean == pytest.approx(math.log(71), rel=1e-6)


def test_losses_do_not_depend_on_the_batches(small: Splits, grammar: Grammar):
    model = RuleModel(VOCABULARY, move_main(grammar), errors=0.1)
    encoded = encode(small.val, VOCABULARY)
    small_batches, one_batch = losses(model, encoded, batch=3), losses(model, encoded, batch=1_000)
    assert small_batches.output.nats == pytest.approx(one_batch.output.nats, rel=1e-6)
    assert small_batches.output.mean > 1


def test_moving_the_first_and_the_main_auxiliary_are_the_same_in_distribution(small: Splits, grammar: Grammar):
    questions = sum(line.task == "quest" for line in small.test)
    for answer in (move(0), move_main(grammar)):
        found = in_distribution(RuleModel(VOCABULARY, answer), small.test, VOCABULARY)
        for tally in (found.first_auxiliary, found.first_word, found.exact_quest):
            assert tally == Tally(questions, questions)
        assert found.exact_decl == Tally(300 - questions, 300 - questions)


def test_on_the_generalisation_set_one_is_always_wrong_and_one_always_right(small: Splits, grammar: Grammar):
    first = generalisation(RuleModel(VOCABULARY, move(0)), small.gen, VOCABULARY)
    main = generalisation(RuleModel(VOCABULARY, move_main(grammar)), small.gen, VOCABULARY)
    assert [first.all.first_word.share, first.all.first_auxiliary.share, first.all.full_sentence.share] == [0, 0, 0]
    assert first.all.move_first.share == 1
    assert [main.all.first_word.share, main.all.first_auxiliary.share, main.all.full_sentence.share] == [1, 1, 1]
    assert main.all.move_first.share == 0
    assert set(main.by_clause) == {"si", "st", "orc"}
    assert main.by_clause["orc"].first_word == Tally(100, 100)
    assert main.by_clause["si"].first_word.lines + main.by_clause["st"].first_word.lines == 200


def test_kinds_of_wrong_first_words(small: Splits):
    found = generalisation(RuleModel(VOCABULARY, first_word("do")), small.gen, VOCABULARY).all
    holds_do = sum("do" in line.sentence.auxiliaries for line in small.gen)
    right = sum(line.sentence.main_auxiliary == "do" for line in small.gen)
    assert found.first_word.count == right
    assert found.move_first.count == holds_do - right
    assert found.absent_auxiliary.count == 300 - holds_do
    assert found.non_auxiliary.count == found.full_sentence.count == 0
    none = generalisation(RuleModel(VOCABULARY, first_word("yak")), small.gen, VOCABULARY).all
    assert none.non_auxiliary.share == 1
    assert none.first_word.count == 0


def test_the_four_kinds_of_first_word_add_up(small: Splits, grammar: Grammar):
    model = RuleModel(VOCABULARY, move_main(grammar), errors=0.2)
    report = generalisation(model, small.gen, VOCABULARY, batch=32)
    for part in (report.all, *report.by_clause.values()):
        kinds = (part.first_word, part.move_first, part.absent_auxiliary, part.non_auxiliary)
        assert sum(kind.count for kind in kinds) == part.first_word.lines
    assert 0 < report.all.non_auxiliary.count < 300
    counts = [[count for count, _ in astuple(part)] for part in report.by_clause.values()]
    assert [sum(column) for column in zip(*counts, strict=True)] == [count for count, _ in astuple(report.all)]


def test_accuracy_among_auxiliaries_differs_from_accuracy_among_all_tokens(small: Splits):
    """A model that prefers a noun, then the main auxiliary: wrong among all tokens, right among the four."""

    def answer(tokens: torch.Tensor) -> torch.Tensor:
        logits = RuleModel(VOCABULARY, move(0))(tokens)
        logits[..., VOCABULARY.ids["yak"]] = 50.0
        return logits

    found = in_distribution(answer, small.test, VOCABULARY)
    assert found.first_auxiliary.share == 1
    assert found.first_word.share == 0
    assert found.exact_quest.share == 0


def test_exact_match_agrees_with_greedy_decoding(small: Splits, grammar: Grammar):
    model = RuleModel(VOCABULARY, move_main(grammar), errors=0.04)
    outputs = [greedy_output(model, line) for line in small.test]
    right = [output == line.output for output, line in zip(outputs, small.test, strict=True)]
    quest = [line.task == "quest" for line in small.test]
    found = in_distribution(model, small.test, VOCABULARY, batch=16)
    assert 50 < sum(right) < 250
    assert found.exact_quest.count == sum(r and q for r, q in zip(right, quest, strict=True))
    assert found.exact_decl.count == sum(r and not q for r, q in zip(right, quest, strict=True))


def greedy_output(logits: Logits, line: Line) -> tuple[str, ...]:
    """The greedily decoded output of a line, at most one token longer than the right one."""
    ids = [VOCABULARY.sos, *(VOCABULARY.ids[word] for word in (*line.declarative, line.task))]
    start = len(ids)
    while len(ids) < start + len(line.output) + 1:
        chosen = int(logits(torch.tensor([ids]))[0, -1].argmax())
        if chosen == VOCABULARY.eos:
            break
        ids.append(chosen)
    return tuple(VOCABULARY.word(token) for token in ids[start:])


class SmallTransformer(torch.nn.Module):
    """Two causal layers of width 64, untrained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = torch.nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.embedding = torch.nn.Embedding(71, 64)
        self.positions = torch.nn.Embedding(64, 64)
        self.layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.output = torch.nn.Linear(64, 71)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.embedding(tokens) + self.positions(torch.arange(length))
        return self.output(self.layers(hidden, mask=mask, is_causal=True))


def test_padding_and_batches_do_not_matter_to_a_network(published_size: Splits):
    model = SmallTransformer().eval()
    lines = published_size.gen[:300]
    alone, together = (generalisation(model, lines, VOCABULARY, batch=batch) for batch in (25, 250))
    assert alone == together
    encoded = encode(lines, VOCABULARY)
    assert losses(model, encoded, 25).per_line == pytest.approx(losses(model, encoded, 500).per_line, rel=1e-5)


def test_invalid_lines_are_not_evaluated(small: Splits, grammar: Grammar):
    model = RuleModel(VOCABULARY, move(0))
    with pytest.raises(InvalidInput, match="no lines"):
        in_distribution(model, [], VOCABULARY)
    with pytest.raises(InvalidInput, match="no lines"):
        generalisation(model, [], VOCABULARY)
    with pytest.raises(InvalidInput, match="two different auxiliaries"):
        generalisation(model, small.test, VOCABULARY)
    only_copies = [line for line in small.test if line.task == "decl"]
    assert in_distribution(model, only_copies, VOCABULARY).exact_quest.share is None
