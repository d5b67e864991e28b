"""Greedy decoding of outputs.

A model is a callable: (B, T) int64 tokens on the CPU to (B, T, V) logits on any device, causal, dropout off; position
t holds the logits of token t + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch

from workers.training.question_formation.grammar import Line
from workers.training.question_formation.vocabulary import Vocabulary, encode

Logits = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def greedy_outputs(
    logits: Logits, lines: Sequence[Line], vocabulary: Vocabulary, batch: int = 64
) -> list[tuple[str, ...]]:
    """The greedily decoded output of each line, from its declarative and task, without the end-of-sequence token.

    An output is cut where it is one token longer than the right one. Lines of one prefix length are decoded together,
    so nothing is padded. It takes a forward pass per token: for looking at answers; the measures of
    `evaluation` take one in all.

    Raises:
        InvalidInput: no lines, or a word that is not in the vocabulary.
    """
    encoded = encode(lines, vocabulary)
    prefixes = [len(line.sentence.words) + 3 for line in lines]  # [SOS], words, full stop, task
    order = sorted(range(len(lines)), key=prefixes.__getitem__)
    outputs: dict[int, tuple[str, ...]] = {}
    for prefix, group in groupby(order, key=prefixes.__getitem__):
        same = list(group)
        for start in range(0, len(same), batch):
            rows = same[start : start + batch]
            given = np.stack([encoded.tokens[encoded.offsets[row] :][: prefix - 1] for row in rows]).astype(np.int64)
            tokens = torch.from_numpy(np.insert(given, 0, encoded.sos, axis=1))
            decoded = _decode(logits, tokens, prefix - 1, vocabulary.eos)
            outputs |= {row: _words(ids, vocabulary) for row, ids in zip(rows, decoded, strict=True)}
    return [outputs[row] for row in range(len(lines))]


def _decode(logits: Logits, tokens: torch.Tensor, steps: int, eos: int) -> list[list[int]]:
    prefix = tokens.shape[1]
    ended = torch.zeros(len(tokens), dtype=torch.bool)
    for _ in range(steps):
        chosen = logits(tokens)[:, -1].argmax(dim=-1).cpu()
        tokens = torch.cat([tokens, chosen[:, None]], dim=1)
        ended |= chosen == eos
        if bool(ended.all()):
            break
    return tokens[:, prefix:].tolist()


def _words(ids: list[int], vocabulary: Vocabulary) -> tuple[str, ...]:
    end = ids.index(vocabulary.eos) if vocabulary.eos in ids else len(ids)
    return tuple(vocabulary.word(token) for token in ids[:end])
