"""Small activation sets, made by the product's own writers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts.activation_set import (
    ActivationSet,
    finish_set,
    rows_name,
    save_chunks,
    save_tensors,
    shard_name,
)
from service.artifacts.atomic import sha256_file

Array = np.ndarray
TOKENS = 5
TEXTS = ["", "naïve\n", "二十 🙂", "plain", "\x00 nul", "x" * 300, "é"]


@dataclass(frozen=True)
class Made:
    """A finished set and what was put into it, by row of its chunks."""

    stored: ActivationSet
    vectors: Array
    tokens: Array
    ids: list[str]
    offsets: list[int]
    texts: list[str]


def make_set(folder: Path, shards: list[int], position: str | int = "last", dtype: str = "float32", d: int = 4) -> Made:
    """A set of `sum(shards)` chunks, `shards[i]` of them in shard i; two or three chunks of each document."""
    chance, m = np.random.default_rng(0), sum(shards)
    per_chunk = TOKENS if position == "all" else 1
    made = Made(
        stored=ActivationSet(folder, ""),
        vectors=chance.normal(size=(m * per_chunk, d)).astype(dtype),
        tokens=chance.integers(0, 50_000, (m, TOKENS), dtype=np.int32),
        ids=[f"books/é {chunk % (1 + m // 2)}.txt" for chunk in range(m)],
        offsets=[int(offset) for offset in chance.integers(0, 2**40, m)],
        texts=[TEXTS[chunk % len(TEXTS)] for chunk in range(m)],
    )
    codes = {name: code for code, name in enumerate(dict.fromkeys(made.ids))}
    start = 0
    for index, count in enumerate(shards):
        part = slice(start, start + count)
        save_chunks(
            folder / rows_name(index),
            made.tokens[part],
            np.array([codes[name] for name in made.ids[part]], dtype=np.int64),
            np.array(made.offsets[part], dtype=np.int64),
            made.ids[part],
            made.texts[part],
        )
        rows = made.vectors[part.start * per_chunk : part.stop * per_chunk]
        save_tensors(folder / shard_name(index), {"vectors": rows})
        start += count
    finish_set(folder, {"id": "act-1", "name": "a set", "position": position, "rows_per_chunk": per_chunk})
    return Made(open_set(folder), made.vectors, made.tokens, made.ids, made.offsets, made.texts)


def open_set(folder: Path) -> ActivationSet:
    """The set as the catalog would open it."""
    return ActivationSet(folder, sha256_file(folder / "manifest.json"))


def read_everything(stored: ActivationSet) -> list[Any]:
    """Every file of a set through every reader of it."""
    return [
        stored.vectors(),
        stored.mean(),
        stored.document_codes(),
        stored.rows([0, stored.n - 1], vectors=True),
        [stored.file(entry["name"]) for entry in stored.manifest["files"]],
    ]
