"""Entropies against enumeration of every line, and against the published floors."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import product

import pytest

from service.errors import InvalidInput
from workers.training.question_formation.entropy import LineEntropy, data_entropy, line_entropy, memorisation_floor
from workers.training.question_formation.frames import FRAMES, QUESTION_GR, TRAINING, StructureProbabilities
from workers.training.question_formation.grammar import Grammar, Line, Sentence
from workers.training.question_formation.lexicon import LEXICONS, TASKS, Lexicon, LexiconName
from workers.training.question_formation.splits import Splits, SplitSizes, generate, is_withheld

TINY = Grammar(
    Lexicon(
        determiners=("the",),
        nouns_singular=("yak", "emu"),
        nouns_plural=("yaks",),  # the numbers have different entropies
        verbs_intransitive=("read", "eat"),
        verbs_transitive=("amuse",),
        prepositions=("near",),
        relativizers=("who",),
    )
)


def grammar_entropy(
    grammar: Grammar, structure: StructureProbabilities = TRAINING, withhold: bool = True
) -> LineEntropy:
    """Entropy of independent lines of the grammar, without de-duplication; the limit of a large lexicon."""
    return line_entropy(
        grammar,
        {
            (frame, task): structure.of_frame(frame)
            for frame in FRAMES
            for task in TASKS
            if not (withhold and task == "quest" and frame.subject.is_relative_clause)
        },
    )


def every_line(grammar: Grammar, structure: StructureProbabilities, withhold: bool) -> dict[Line, float]:
    """The whole language with its probabilities."""
    lines: dict[Line, float] = {}
    for frame in FRAMES:
        p = structure.of_frame(frame) / grammar.sentences(frame) / 2
        for words in product(*(grammar.lexicon.of(category) for category in frame.categories)):
            for task in TASKS:
                line = Line(Sentence(frame, words), task)
                if not (withhold and is_withheld(line)):
                    lines[line] = p
    total = sum(lines.values())
    return {line: p / total for line, p in lines.items()}


@pytest.mark.parametrize(("structure", "withhold"), [(TRAINING, True), (TRAINING, False), (QUESTION_GR, True)])
def test_enumeration_token_by_token(structure: StructureProbabilities, withhold: bool):
    """Nats and targets of each part by −ln P(token | prefix), computed from the probabilities of whole lines alone."""
    language = every_line(TINY, structure, withhold)
    prefixes: dict[tuple[str, ...], float] = defaultdict(float)
    for line, p in language.items():
        tokens = (*line.tokens, "<eos>")
        for end in range(len(tokens) + 1):
            prefixes[tokens[:end]] += p
    nats: dict[str, float] = defaultdict(float)
    targets: dict[str, float] = defaultdict(float)
    for line, p in language.items():
        tokens = (*line.tokens, "<eos>")
        for at in range(len(tokens)):
            task_at = len(line.declarative)
            part = "declarative" if at < task_at else "task" if at == task_at else "output"
            nats[part] -= p * math.log(prefixes[tokens[: at + 1]] / prefixes[tokens[:at]])
            targets[part] += p
    found = grammar_entropy(TINY, structure, withhold)
    assert found.declarative == pytest.approx(nats["declarative"], abs=1e-9)
    assert found.task == pytest.approx(nats["task"], abs=1e-9)
    assert nats["output"] == pytest.approx(0, abs=1e-9)
    assert found.declarative_tokens == pytest.approx(targets["declarative"])
    assert found.output_tokens == pytest.approx(targets["output"])
    assert found.per_line == pytest.approx(-sum(p * math.log(p) for p in language.values()))
    assert found.floor("whole") == found.per_token == pytest.approx(sum(nats.values()) / sum(targets.values()))
    assert found.floor("declarative") == pytest.approx(nats["declarative"] / targets["declarative"])
    assert found.floor("output") == 0
    assert found.floor("sum") == found.per_line


def test_withholding_costs_the_task_bit_exactly_where_the_subject_has_no_relative_clause(grammar: Grammar):
    relative = sum(p for kind, p in TRAINING.subject.items() if kind.is_relative_clause)
    found = grammar_entropy(grammar)
    assert found.task == pytest.approx((1 - relative) / (1 - relative / 2) * math.log(2))
    assert grammar_entropy(grammar, withhold=False).task == pytest.approx(math.log(2))


def test_the_cost_of_a_runs_own_lines_line_by_line(small: Splits, grammar: Grammar):
    lines = small.train
    frequency = Counter((line.sentence.frame.subject, line.sentence.frame.object, line.task) for line in lines)
    cost = tokens = 0.0
    for line in lines:
        frame = line.sentence.frame
        cost -= math.log(frequency[frame.subject, frame.object, line.task] / len(lines))
        cost += len(frame.numbers) * math.log(2)
        cost += sum(math.log(len(grammar.lexicon.of(category))) for category in frame.categories)
        tokens += len(line.tokens) + 1
    found = data_entropy(grammar, lines)
    assert found.per_line == pytest.approx(cost / len(lines))
    assert found.tokens_per_line == pytest.approx(tokens / len(lines))
    assert found.per_token == pytest.approx(cost / tokens)


def test_the_published_floors(published_size: Splits, grammar: Grammar):
    # One line's cost and length vary: a mean over a batch of 8 has a standard deviation of .0205 nats per token, one
    # over 100,000 lines .0002, over 10,000 .0006. Tolerances are four of them, more where the source has 3 digits.
    train, test = (data_entropy(grammar, lines) for lines in (published_size.train, published_size.test))
    assert train.floor("whole") == pytest.approx(0.9960, abs=0.0008)
    assert test.floor("whole") == pytest.approx(0.9972, abs=0.0025)
    assert train.floor("declarative") == pytest.approx(2.126, abs=0.004)
    assert train.per_line / (train.declarative_tokens + 1) == pytest.approx(1.99, abs=0.006)
    assert train.per_line / (train.tokens_per_line - 1) == pytest.approx(1.042, abs=0.002)
    assert test.floor("sum") == pytest.approx(23.3, abs=0.25)
    assert train.tokens_per_line == pytest.approx(22.87, abs=0.1)
    assert memorisation_floor([1] * 100_000, train.tokens_per_line) == pytest.approx(0.504, abs=0.003)
    assert grammar_entropy(grammar).floor("whole") == pytest.approx(0.9923, abs=0.0001)


FLOORS: dict[LexiconName, float] = {
    "half_nouns": 0.914, "one_noun": 0.693, "nouns_x2": 1.078, "nouns_x10": 1.268, "nouns_x100": 1.540,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_the_floors_of_the_controls_at_the_standard_frequencies(published_size: Splits, name: LexiconName):
    """The published floors exchange the lexicon and keep approximately the frequencies of the published test set."""
    found = data_entropy(Grammar(LEXICONS[name]()), published_size.test).per_token
    assert found == pytest.approx(FLOORS[name], abs=0.003)  # .0025 as above, and three digits


def test_one_noun_is_below_1_on_data_of_its_own():
    grammar = Grammar(LEXICONS["one_noun"]())
    made = generate(grammar, SplitSizes(train=20_000, val=10, test=10, gen=10), seed=0)
    assert data_entropy(grammar, made.train).per_token == pytest.approx(0.694, abs=0.005)


def test_invalid_lines_have_no_entropy(grammar: Grammar, published_size: Splits):
    with pytest.raises(InvalidInput, match="no lines"):
        data_entropy(grammar, [])
    with pytest.raises(InvalidInput, match="not of this lexicon"):
        data_entropy(TINY, published_size.train)
    for repeats, tokens in (([], 22.0), ([1] * 10, 0.0), ([1] * 10, math.nan)):
        with pytest.raises(InvalidInput):
            memorisation_floor(repeats, tokens)


def test_repeated_lines_lower_the_loss_of_perfect_memorisation():
    assert memorisation_floor([1, 1, 1, 1], 2.0) == pytest.approx(math.log(4) / 2)
    assert memorisation_floor([2, 1, 1], 1.0) == pytest.approx(1.5 * math.log(2))
    assert memorisation_floor([7], 5.0) == 0
