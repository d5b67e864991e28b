from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora.tokens import by_bytes, by_character, by_word, byte_level, random_documents
from tests.examples import examples
from workers.corpora.documents import Document
from workers.corpora.sampling import Chunk, Sample, SamplingRule, Tokenize, draw_sample

MANY = 10**6
MIXED = "".join(f"naïve café № {number} — 二十 🙂👩‍👩‍👧 … " for number in range(60))


def chunks_of(text: str, chunk_tokens: int, per_document: int | None = None, seed: int = 0) -> list[Chunk]:
    """All sampled chunks of one text, in the order of the text."""
    rule = SamplingRule(chunk_tokens, MANY, per_document, seed)
    return sorted(draw_sample([Document("a.txt", text)], by_character, rule).chunks, key=lambda chunk: chunk.index)


def test_chunks_are_consecutive_from_the_start():
    assert [(chunk.index, chunk.offset, chunk.text) for chunk in chunks_of("abcdefgh", 2)] == [
        (0, 0, "ab"),
        (1, 2, "cd"),
        (2, 4, "ef"),
        (3, 6, "gh"),
    ]


def test_a_shorter_rest_is_dropped():
    assert [chunk.text for chunk in chunks_of("abcdefgh", 3)] == ["abc", "def"]


def test_a_document_of_just_one_chunk_is_taken_and_one_token_less_is_not():
    assert [chunk.text for chunk in chunks_of("abcd", 4)] == ["abcd"]
    assert chunks_of("abc", 4) == []
    assert chunks_of("", 1) == []


def test_documents_read_tokenized_and_too_short_are_counted():
    documents = [Document(str(length), "x" * length) for length in (0, 1, 2, 3, 4, 5)]
    sample = draw_sample(documents, by_character, SamplingRule(3, MANY, 1, 0))
    assert (sample.documents_read, sample.documents_tokenized, sample.documents_too_short) == (6, 6, 3)
    assert draw_sample([], by_character, SamplingRule(3, 5, 1, 0)) == Sample([], 0, 0, 0, 0)


@pytest.mark.parametrize("per_document", [1, 2, 3, 5, 100, None])
def test_a_document_gives_as_many_chunks_as_asked_for_if_it_has_them(per_document: int | None):
    documents = random_documents(100, 0)
    sample = draw_sample(documents, by_character, SamplingRule(6, MANY, per_document, 0))
    for document in documents:
        possible = len(document.text) // 6
        indices = [chunk.index for chunk in sample.chunks if chunk.document == document.id]
        assert len(indices) == len(set(indices)) == (possible if per_document is None else min(possible, per_document))
        assert all(0 <= index < possible for index in indices)


def test_a_sample_has_no_more_chunks_than_asked_for():
    documents = random_documents(50, 0)
    assert len(draw_sample(documents, by_character, SamplingRule(6, 7, None, 0)).chunks) == 7


def test_one_chunk_is_among_those_of_more():
    documents = random_documents(60, 0, longest=200)
    one, three = (draw_sample(documents, by_character, SamplingRule(6, MANY, k, 0)).chunks for k in (1, 3))
    assert {(c.document, c.index, c.key) for c in one} < {(c.document, c.index, c.key) for c in three}


@examples(50)
@given(seed=st.integers(0, 2**63 - 1))
def test_every_seed_of_the_contract_is_taken_and_gives_the_same_sample_again(seed: int):
    documents = random_documents(20, 1)
    first, second = (draw_sample(documents, by_character, SamplingRule(3, 5, 1, seed)) for _ in range(2))
    assert first == second


def test_another_seed_draws_other_documents_and_other_places():
    documents = [Document(str(number), "abcdefgh" * 20) for number in range(100)]
    samples = [draw_sample(documents, by_character, SamplingRule(4, 10, 1, seed)).chunks for seed in range(20)]
    assert len({tuple(chunk.document for chunk in sample) for sample in samples}) == 20
    assert len({tuple(chunk.index for chunk in sample) for sample in samples}) == 20


@pytest.mark.parametrize("tokenize", [by_character, by_word, by_bytes])
@pytest.mark.parametrize("chunk_tokens", [1, 2, 5, 16])
def test_offset_and_text_are_where_the_tokens_came_from(tokenize: Tokenize, chunk_tokens: int):
    documents = [*random_documents(30, 2, longest=300), Document("mixed", MIXED), Document("二.txt", "二十" * 50)]
    texts = {document.id: document.text for document in documents}
    encodings = {name: (e.ids, e.offsets) for name, e in zip(texts, tokenize(list(texts.values())), strict=True)}
    sample = draw_sample(documents, tokenize, SamplingRule(chunk_tokens, MANY, None, 0))
    assert len(sample.chunks) > 30
    for chunk in sample.chunks:
        part = slice(chunk.index * chunk_tokens, (chunk.index + 1) * chunk_tokens)
        (ids, offsets), end = encodings[chunk.document], chunk.offset + len(chunk.text)
        assert (chunk.tokens.tolist(), str(chunk.tokens.dtype)) == (list(ids[part]), "int32")
        assert (chunk.offset, end) == (offsets[part][0][0], offsets[part][-1][1])
        assert chunk.text == texts[chunk.document][chunk.offset : end] != ""


def test_ascii_tokens_decode_to_the_text_of_their_chunk():
    document = Document("a", "The quick brown fox jumps over the lazy dog. " * 20)
    for chunk in draw_sample([document], by_bytes, SamplingRule(16, MANY, None, 0)).chunks:
        assert byte_level().decode(list(chunk.tokens)) == chunk.text


def test_chunks_cover_a_document_of_multi_byte_characters_without_gaps():
    found = draw_sample([Document("a", MIXED)], by_bytes, SamplingRule(4, MANY, None, 0)).chunks
    ordered = sorted(found, key=lambda chunk: chunk.index)
    ends = [chunk.offset + len(chunk.text) for chunk in ordered]
    assert ordered[0].offset == 0
    assert all(chunk.offset <= end for chunk, end in zip(ordered[1:], ends, strict=False))


def test_a_kept_chunk_does_not_keep_the_tokens_of_its_document():
    [chunk] = draw_sample([Document("a", "x" * 100_000)], by_character, SamplingRule(8, 1, 1, 0)).chunks
    held = chunk.tokens if chunk.tokens.base is None else chunk.tokens.base
    assert held.nbytes == chunk.tokens.nbytes
