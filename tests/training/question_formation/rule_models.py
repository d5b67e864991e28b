"""Callables that answer by a rule, in the place of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import torch

from workers.training.question_formation.grammar import Grammar
from workers.training.question_formation.vocabulary import Vocabulary

Answer = Callable[[list[str], str], list[str]]


def move(which: int) -> Answer:
    """A rule that copies, or forms a question by moving the auxiliary at this index among the auxiliaries."""
    auxiliaries = {"do", "don't", "does", "doesn't"}

    def answer(words: list[str], task: str) -> list[str]:
        if task == "decl":
            return [*words, "."]
        at = [index for index, word in enumerate(words) if word in auxiliaries][which]
        return [words[at], *words[:at], *words[at + 1 :], "?"]

    return answer


def move_main(grammar: Grammar) -> Answer:
    def answer(words: list[str], task: str) -> list[str]:
        sentence = grammar.parse_sentence(tuple(words))
        return [*words, "."] if task == "decl" else [*sentence.question, "?"]

    return answer


def first_word(word: str) -> Answer:
    return lambda words, task: [word, *words]


@dataclass(frozen=True)
class RuleModel:
    """Logits that put nearly everything on the answer's next token, and are uniform before the answer.

    With `errors`, that share of the prefixes (chosen by their checksum, so the model stays causal and deterministic)
    is continued by the full stop instead.
    """

    vocabulary: Vocabulary
    answer: Answer
    errors: float = 0.0

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        assert tokens.dtype == torch.int64
        logits = torch.zeros(*tokens.shape, self.vocabulary.size)
        for row, ids in enumerate(tokens.tolist()):
            words = [self.vocabulary.word(token) for token in ids]
            task_at = next(at for at, word in enumerate(words) if word in ("decl", "quest"))
            answer = self.answer(words[1 : task_at - 1], words[task_at])
            right = [self.vocabulary.ids[word] for word in answer] + [self.vocabulary.eos]
            for at in range(task_at, len(ids)):
                chosen = right[min(at - task_at, len(right) - 1)]
                if crc32(repr(ids[: at + 1]).encode()) / 2**32 < self.errors:
                    chosen = self.vocabulary.ids["."]
                logits[row, at, chosen] = 30.0
        return logits
