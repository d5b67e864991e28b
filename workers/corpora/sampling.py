"""Chunks of a corpus, and a seeded sample of them that can be extended.

A chunk is `chunk_tokens` consecutive tokens of one document, at multiples of `chunk_tokens` from its start. A shorter
rest at the end of a document is dropped, so a shorter document gives no chunk.

The chunks of each document are ordered by hash; the j-th in that order has the key H(seed, document id, j). The sample
is the chunks with the smallest keys, in the order of their keys. Keys depend on nothing else, so the order of files
does not matter, and the first 80,000 of a sample of 100,000 are the sample of 80,000.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from service.errors import TooLarge
from workers.corpora.documents import Document

Array = np.ndarray
CHUNK_RULE = "consecutive chunks from a document's start; a shorter rest is dropped"
_BATCH_DOCUMENTS = 64
_BATCH_CHARACTERS = 4_000_000  # tokenised in smaller parts


class Encoding(Protocol):
    """Tokens of one text, and the first character and the end of each, as sequences or as arrays."""

    @property
    def ids(self) -> Any: ...
    @property
    def offsets(self) -> Any: ...


Tokenize = Callable[[list[str]], Iterable[Encoding]]


@dataclass(frozen=True, order=True)
class Chunk:
    """One sampled chunk; ordered by its key."""

    key: int
    document: str
    index: int
    tokens: Array = field(compare=False)
    offset: int = field(compare=False)
    text: str = field(compare=False)


@dataclass(frozen=True)
class Sample:
    """The sampled chunks in the order of their keys, and counts of the documents.

    Attributes:
        chunks_seen: all chunks of the tokenised documents. Where fewer chunks were sampled than wanted, these are all
            chunks of the corpus.
    """

    chunks: list[Chunk]
    documents_read: int
    documents_tokenized: int
    documents_too_short: int
    chunks_seen: int


@dataclass(frozen=True)
class SamplingRule:
    """The parameters of a sample; `per_document` None takes all chunks of a document."""

    chunk_tokens: int
    chunks: int
    per_document: int | None
    seed: int


def draw_sample(
    documents: Iterable[Document], tokenize: Tokenize, rule: SamplingRule, tick: Callable[[int], None] = lambda n: None
) -> Sample:
    """Draw the sample in one pass, tokenising only documents that can still enter it.

    At most `rule.chunks` chunks are held. A document whose smallest possible key is above the largest key held is not
    tokenised: of N documents about chunks · (1 + log(N / chunks)) are tokenised when each gives one chunk.

    Raises:
        TooLarge: a document takes too much memory to tokenise; the message names it.
    """
    kept: list[tuple[int, str, int, Chunk]] = []  # a heap of negated keys, the largest key on top
    seen = tokenized = short = there = 0
    for batch in _batches(iter(documents)):
        seen += len(batch)
        wanted = [document for document in batch if _may_enter(document, kept, rule)]
        for document, encoding in _encoded(wanted, tokenize):
            tokenized += 1
            short += len(encoding.ids) < rule.chunk_tokens
            there += len(encoding.ids) // rule.chunk_tokens
            for chunk in _chunks(document, encoding, rule):
                entry = (-chunk.key, chunk.document, chunk.index, chunk)
                if len(kept) < rule.chunks:
                    heapq.heappush(kept, entry)
                elif entry > kept[0]:
                    heapq.heapreplace(kept, entry)
        tick(seen)
    return Sample(sorted(entry[-1] for entry in kept), seen, tokenized, short, there)


def _encoded(documents: list[Document], tokenize: Tokenize) -> Iterator[tuple[Document, Encoding]]:
    encodings = iter(tokenize([document.text for document in documents]))
    for document in documents:
        try:
            yield document, next(encodings)
        except TooLarge as error:
            raise TooLarge(f"document {document.id!a}: {error.detail}") from error


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) >= _BATCH_DOCUMENTS or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _may_enter(document: Document, kept: list[tuple[int, str, int, Chunk]], rule: SamplingRule) -> bool:
    if len(kept) < rule.chunks:
        return True
    # A token has at least one byte (and some tokenizers put a space before the text), which bounds the chunks.
    possible = (len(document.text.encode()) + 1) // rule.chunk_tokens
    tried = possible if rule.per_document is None else min(possible, rule.per_document)
    return any(_hash(rule.seed, document.id, rank) <= -kept[0][0] for rank in range(tried))


def _chunks(document: Document, encoding: Encoding, rule: SamplingRule) -> Iterator[Chunk]:
    tokens = np.asarray(encoding.ids, dtype=np.int32)
    count = len(tokens) // rule.chunk_tokens
    order: Sequence[int] = range(count)
    if rule.per_document is not None:
        by_hash = sorted(order, key=lambda index: _hash(rule.seed, document.id, index, salt=b"chunk"))
        order = by_hash[: rule.per_document]
    offsets = encoding.offsets if count else ()
    for rank, index in enumerate(order):
        first, last = index * rule.chunk_tokens, (index + 1) * rule.chunk_tokens - 1
        start, end = int(offsets[first][0]), int(offsets[last][1])
        yield Chunk(
            key=_hash(rule.seed, document.id, rank),
            document=document.id,
            index=index,
            tokens=tokens[first : last + 1].copy(),  # a view would keep the whole document
            offset=start,
            text=document.text[start:end],
        )


def _hash(seed: int, document: str, number: int, salt: bytes = b"key") -> int:
    content = document.encode("utf-8", "surrogateescape")
    digest = blake2b(content, digest_size=8, key=seed.to_bytes(8, "little"), salt=salt)
    digest.update(number.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "big")
