from __future__ import annotations

import random
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.tokens import Counting, by_bytes, by_character, by_word, byte_level, random_documents
from tests.examples import examples
from workers.corpora.documents import Document
from workers.corpora.sampling import SamplingRule, Tokenize, draw_sample

Row = tuple[int, str, int, int, str, tuple[int, ...]]
rules = st.builds(
    SamplingRule,
    chunk_tokens=st.integers(1, 8),
    chunks=st.integers(1, 40),
    per_document=st.sampled_from([None, 1, 2, 3]),
    seed=st.integers(0, 2**63 - 1),
)


def drawn(documents: list[Document], tokenize: Tokenize, rule: SamplingRule) -> list[Row]:
    chunks = draw_sample(documents, tokenize, rule).chunks
    return [(c.key, c.document, c.index, c.offset, c.text, tuple(int(t) for t in c.tokens)) for c in chunks]


def hashed(seed: int, document: str, number: int, salt: bytes) -> int:
    content = document.encode() + number.to_bytes(8, "little")
    digest = blake2b(content, digest_size=8, key=seed.to_bytes(8, "little"), salt=salt).digest()
    return int.from_bytes(digest, "big")


def brute_force(documents: list[Document], tokenize: Tokenize, rule: SamplingRule) -> list[Row]:
    """The sample by its definition: every chunk of every document, sorted by key."""
    rows: list[Row] = []
    for document in documents:
        [encoding] = tokenize([document.text])
        order = list(range(len(encoding.ids) // rule.chunk_tokens))
        if rule.per_document is not None:
            order.sort(key=lambda index, name=document.id: hashed(rule.seed, name, index, b"chunk"))
            order = order[: rule.per_document]
        for rank, index in enumerate(order):
            part = slice(index * rule.chunk_tokens, (index + 1) * rule.chunk_tokens)
            start, end = encoding.offsets[part][0][0], encoding.offsets[part][-1][1]
            key = hashed(rule.seed, document.id, rank, b"key")
            rows.append((key, document.id, index, start, document.text[start:end], tuple(encoding.ids[part])))
    return sorted(rows)[: rule.chunks]


@examples(40)
@given(rule=rules, count=st.integers(0, 300), seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_order_of_documents_does_not_matter(rule: SamplingRule, count: int, seed: int, order: random.Random):
    documents = random_documents(count, seed)
    expected = drawn(documents, by_character, rule)
    order.shuffle(documents)
    assert drawn(documents, by_character, rule) == expected


@examples(40)
@given(rule=rules, fewer=st.integers(1, 40), count=st.integers(0, 200), seed=st.integers(0, 1000))
def test_the_first_of_a_larger_sample_are_the_smaller_sample(rule: SamplingRule, fewer: int, count: int, seed: int):
    documents = random_documents(count, seed)
    smaller = SamplingRule(rule.chunk_tokens, min(fewer, rule.chunks), rule.per_document, rule.seed)
    assert drawn(documents, by_character, smaller) == drawn(documents, by_character, rule)[: smaller.chunks]


@examples(60)
@given(rule=rules, count=st.integers(0, 300), seed=st.integers(0, 1000))
@pytest.mark.parametrize("tokenize", [by_character, by_word])
def test_skipping_documents_gives_the_sample_of_tokenizing_all(
    tokenize: Tokenize, rule: SamplingRule, count: int, seed: int
):
    documents = random_documents(count, seed)
    assert drawn(documents, tokenize, rule) == brute_force(documents, tokenize, rule)


@examples(15)
@given(rule=rules, seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_same_holds_with_a_byte_level_tokenizer(rule: SamplingRule, seed: int, order: random.Random):
    documents = random_documents(150, seed)
    expected = brute_force(documents, by_bytes, rule)
    order.shuffle(documents)
    assert drawn(documents, by_bytes, rule) == expected


def test_a_tokenizer_that_prepends_a_space_samples_as_by_brute_force():
    documents = [Document(f"{number}.txt", "zqzqzqz") for number in range(300)]
    rule = SamplingRule(8, 10, 1, 0)
    spaced = byte_level(add_prefix_space=True).encode_batch
    assert len(spaced(["zqzqzqz"])[0].ids) == 8
    assert drawn(documents, spaced, rule) == brute_force(documents, spaced, rule)


@examples(25)
@given(texts=st.lists(st.text(max_size=30), max_size=40), rule=rules)
def test_any_text_is_sampled_as_by_brute_force(texts: list[str], rule: SamplingRule):
    documents = [Document(f"lines.jsonl:{number}", text) for number, text in enumerate(texts)]
    assert drawn(documents, by_bytes, rule) == brute_force(documents, by_bytes, rule)


@pytest.mark.parametrize("per_document", [1, 3])
def test_most_documents_are_not_tokenized(per_document: int):
    documents = [Document(f"{number}.txt", "abcdefgh" * 4) for number in range(4000)]
    counting = Counting(by_character)
    sample = draw_sample(documents, counting, SamplingRule(8, 40, per_document, 0))
    assert sample.documents_read == 4000
    assert sample.documents_tokenized == counting.texts < 800
    assert len(sample.chunks) == 40


def test_documents_too_short_to_hold_a_chunk_are_skipped_once_the_sample_is_full():
    full = [Document(str(number), "x" * 8) for number in range(64)]
    short = [Document(f"short {number}", "x" * 6) for number in range(64)]
    sample = draw_sample([*full, *short], by_character, SamplingRule(8, 10, None, 0))
    assert (sample.documents_read, sample.documents_tokenized, sample.documents_too_short) == (128, 64, 0)


def test_progress_counts_the_documents_read():
    told: list[int] = []
    draw_sample(random_documents(200, 0), by_character, SamplingRule(4, 5, 1, 0), told.append)
    assert told == sorted(set(told))
    assert told[-1] == 200


def test_the_sample_of_a_seed_is_pinned():
    documents = [Document(f"{number}.txt", "abcdefgh" * 4) for number in range(100)]
    found = draw_sample(documents, by_character, SamplingRule(4, 5, 1, 7)).chunks
    assert [(chunk.document, chunk.index) for chunk in found] == [
        ("37.txt", 0),
        ("51.txt", 1),
        ("46.txt", 1),
        ("83.txt", 3),
        ("4.txt", 7),
    ]
