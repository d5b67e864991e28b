"""Tokenizers for the tests of sampling: characters, words, and a trained byte-level BPE."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pydoc_data.topics import topics
from zlib import crc32

from tokenizers import ByteLevelBPETokenizer

from workers.corpora.documents import Document
from workers.corpora.sampling import Encoding, Tokenize

ALPHABET = "ab cé二🙂\n"


@dataclass(frozen=True)
class Tokens:
    """The result of a tokenizer for one text."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]


def by_character(texts: list[str]) -> list[Tokens]:
    return [Tokens([ord(c) for c in text], [(i, i + 1) for i in range(len(text))]) for text in texts]


def by_word(texts: list[str]) -> list[Tokens]:
    found = [list(re.finditer(r"\S+", text)) for text in texts]
    return [Tokens([crc32(m[0].encode()) >> 1 for m in words], [m.span() for m in words]) for words in found]


@cache
def byte_level(*, add_prefix_space: bool = False) -> ByteLevelBPETokenizer:
    bpe = ByteLevelBPETokenizer(add_prefix_space=add_prefix_space)
    english = [topics[name] for name in sorted(topics)[:8]]
    bpe.train_from_iterator(english, vocab_size=512, show_progress=False)
    return bpe


def by_bytes(texts: list[str]) -> Sequence[Encoding]:
    return byte_level().encode_batch(texts)


class Counting:
    """A tokenizer that counts its texts."""

    def __init__(self, tokenize: Tokenize) -> None:
        self.tokenize, self.texts = tokenize, 0

    def __call__(self, texts: list[str]) -> Iterable[Encoding]:
        self.texts += len(texts)
        return self.tokenize(texts)


def random_documents(count: int, seed: int, longest: int = 40) -> list[Document]:
    """Short texts of many lengths, some of them empty, with ids like those of files."""
    chance = random.Random(seed)
    lengths = [chance.randrange(longest + 1) for _ in range(count)]
    return [
        Document(f"{number:x}é.txt", "".join(chance.choices(ALPHABET, k=length)))
        for number, length in enumerate(lengths)
    ]
