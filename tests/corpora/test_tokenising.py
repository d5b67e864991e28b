"""A text in pieces has the tokens and offsets of the whole text; what cannot be cut is refused beyond a limit."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    ByteLevelBPETokenizer,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from service.errors import InvalidInput, TooLarge
from tests.corpora.tokens import byte_level
from workers.corpora import tokenising
from workers.corpora.documents import Document
from workers.corpora.sampling import SamplingRule, draw_sample
from workers.corpora.tokenising import TextTokenizer
from workers.query.embedding import encode_tokens as encode_query
from workers.training.kept import byte_tokenizer, word_tokenizer

ADDED = [
    AddedToken("<mask>", lstrip=True, special=True),
    AddedToken("<r>", rstrip=True, special=True),
    AddedToken("<w x>", single_word=True, special=True),
    AddedToken("\nq", single_word=True, special=True),
    AddedToken("[a  b]", lstrip=True, rstrip=True),
    AddedToken("naïve", single_word=True),
    AddedToken("n s\tn"),
    AddedToken("zz ", rstrip=True),
    AddedToken("    "),
]
PARTS = [
    "a", "b", "don't", "'s", "'", "é", "二", "🙂", "👩‍👩‍👧", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000",
    "\u2028", "\x1c", "\x85", "\u180e", "\u200b", "1", "12", "½", "!", "?!", "...", "\ufeff", "\x00", "ll",
    "𝔘", "٣", "\u0301", "<|endoftext|>", "<|endof", *(token.content for token in ADDED),
]  # fmt: skip
TEXT = "".join(topics[name] for name in sorted(topics)[:12])


@cache
def trained() -> str:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([TEXT], vocab_size=700, special_tokens=["<|endoftext|>"], show_progress=False)
    return bpe.to_str()


def bpe(*, prefix: bool = False, added: bool = False) -> Tokenizer:
    made = Tokenizer.from_str(trained())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    if added:
        made.add_tokens(ADDED)
    return made


CUT = {
    "GPT-2": bpe,
    "prefix space": lambda: bpe(prefix=True),
    "added tokens": lambda: bpe(added=True),
    "added tokens and prefix space": lambda: bpe(prefix=True, added=True),
    "bytes": byte_tokenizer,
    "words": lambda: word_tokenizer(["a", "b", "12", "don't"]),
}


def check(tokenizer: Tokenizer, text: str) -> int:
    """Compare with the whole text at once; returns the number of pieces."""
    expected, by_pieces = tokenizer.encode(text, add_special_tokens=False), TextTokenizer(tokenizer)
    [found] = by_pieces.encode([text])
    assert found.ids.tolist() == expected.ids
    assert list(map(tuple, found.offsets.tolist())) == expected.offsets
    assert [token for ids, _ in by_pieces.encode_ids([text]) for token in ids.tolist()] == expected.ids
    pieces = list(by_pieces.pieces(text))
    assert "".join(piece for _, piece in pieces) == text
    return len(pieces)


@pytest.fixture
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of few characters."""
    monkeypatch.setattr(tokenising, "_PIECE", request.param)
    monkeypatch.setattr(tokenising, "_TOGETHER", 8 * request.param)
    return request.param


@pytest.mark.parametrize("piece", [40, 1000], indirect=True)
@pytest.mark.parametrize("name", CUT)
def test_real_text_has_the_same_tokens_and_offsets_in_pieces(piece: int, name: str):
    text = TEXT[: 100 * piece]
    assert check(CUT[name](), text) > len(text) // (2 * piece)


def check_adversarial(tokenizer: Tokenizer, seed: int) -> int:
    chance = random.Random(seed)
    return sum(check(tokenizer, "".join(chance.choices(PARTS, k=chance.randrange(1, 40)))) for _ in range(150))


@pytest.mark.parametrize("piece", [1, 2, 5, 13], indirect=True)
@pytest.mark.parametrize("name", CUT)
def test_adversarial_text_has_the_same_tokens_and_offsets_in_pieces(piece: int, name: str):
    assert check_adversarial(CUT[name](), piece) > 160


@pytest.mark.parametrize("piece", [2], indirect=True)
@pytest.mark.parametrize("harm", ["a cut within a word", "a cut at an added token", "a cut within white space"])
def test_a_wrong_cut_would_be_noticed(piece: int, harm: str, monkeypatch: pytest.MonkeyPatch):
    cuts = TextTokenizer._cuts

    def worse(self: TextTokenizer, text: str, place: int) -> bool:
        if harm == "a cut at an added token":
            self._added = []
        wrong = "ab" if harm == "a cut within a word" else " " if harm == "a cut within white space" else ""
        return cuts(self, text, place) or text[place] in wrong

    monkeypatch.setattr(TextTokenizer, "_cuts", worse)
    with pytest.raises(AssertionError):
        check_adversarial(bpe(added=True), piece)


def _normalized() -> Tokenizer:
    made = bpe()
    made.normalizer = normalizers.NFC()
    return made


def _moved_offsets() -> Tokenizer:
    made = bpe()
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    return made


def _unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram([("a", -1.0), ("▁", -2.0), ("▁a", -1.5)], unk_id=0))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return made


def _dropout() -> Tokenizer:
    made = bpe()
    made.model.dropout = 0.1  # pyright: ignore[reportAttributeAccessIssue]
    return made


def _other_expression() -> Tokenizer:
    made = bpe()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return made


@pytest.mark.parametrize("make", [_normalized, _moved_offsets, _unigram, _dropout, _other_expression])
def test_a_tokenizer_without_a_proof_gets_whole_texts_up_to_the_limit(make):
    text = "a a " * 20_000
    by_pieces = TextTokenizer(make(), memory_bytes=320 * len(text))
    assert [piece for _, piece in by_pieces.pieces(text)] == [text]
    with pytest.raises(TooLarge, match="the text cannot be cut and is longer than 80000 bytes"):
        list(by_pieces.encode([text + "a"]))


def test_text_without_white_space_is_refused_beyond_the_limit_by_the_name_of_its_document():
    documents = [Document("short", "a b"), Document("long", "a " * 50_000 + "x" * 70_000), Document("c", "a b")]
    by_pieces = TextTokenizer(bpe(), memory_bytes=320 * 66_000)
    assert len(list(by_pieces.encode([documents[0].text, "a " * 50_000 + "x" * 65_000]))) == 2
    with pytest.raises(TooLarge, match=r"'long': a part of the text without white space is longer than 66000 bytes"):
        draw_sample(documents, by_pieces.encode, SamplingRule(1, 10, None, 0))


def test_texts_keep_their_order_among_long_and_empty_ones():
    texts = ["a", "", TEXT[:200_000], "b c", "", "x" * 70_000, "d"]
    expected = [encoding.ids for encoding in bpe().encode_batch(texts, add_special_tokens=False)]
    found = TextTokenizer(bpe())
    assert [tokens.ids.tolist() for tokens in found.encode(texts)] == expected
    joined: list[list[int]] = [[]]
    for ids, is_last in found.encode_ids(texts):
        joined[-1] += ids.tolist()
        joined += [[]] * is_last
    assert joined[:-1] == expected


def test_a_sample_is_the_same_from_pieces():
    documents = [Document(name, topics[name] * 3) for name in sorted(topics)[:20]]
    rule = SamplingRule(16, 500, None, 0)
    whole = draw_sample(documents, byte_level().encode_batch, rule)
    tokenizer = Tokenizer.from_str(byte_level().to_str())
    assert draw_sample(documents, TextTokenizer(tokenizer).encode, rule) == whole


MEASURE = """
import sys
from pathlib import Path
from pydoc_data.topics import topics
from tokenizers import Tokenizer
from workers.corpora import tokenising
from workers.flows.engine.memory import memory_returned

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

tokenising._PIECE, tokenising._TOGETHER = 2**12, 2**15
tokenizer, text = Tokenizer.from_file(sys.argv[1]), ("".join(topics.values()) * 8)[: 2**19]
before = memory("VmRSS")
[tokens] = tokenising.TextTokenizer(tokenizer).encode([text])
in_pieces = memory("VmHWM") - before
with memory_returned():
    whole = tokenizer.encode_batch([text])[0]
    offsets = whole.offsets
    del whole, offsets
at_once = memory("VmHWM") - before
print(in_pieces / len(text), at_once / len(text), (memory("VmRSS") - before) / len(text))
"""


def test_a_text_in_pieces_takes_little_memory_and_what_is_freed_is_returned(tmp_path: Path):
    bpe().save(str(tmp_path / "tokenizer.json"))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "tokenizer.json")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    in_pieces, at_once, held = map(float, found.stdout.split())
    assert at_once > 140
    assert in_pieces < 100
    assert held < 100


def test_a_query_text_that_is_too_long_is_tokenised_only_as_far_as_that_is_known(monkeypatch: pytest.MonkeyPatch):
    tokenised: list[int] = []
    encode = TextTokenizer.encode_ids

    def counting(self: TextTokenizer, texts: list[str]) -> Iterator[tuple[Any, bool]]:
        for ids, is_last in encode(self, texts):
            tokenised.append(len(ids))
            yield ids, is_last

    monkeypatch.setattr(TextTokenizer, "encode_ids", counting)
    with pytest.raises(InvalidInput, match=r"must have 1 to 64 tokens; one has \d+ or more"):
        encode_query(TextTokenizer(bpe()), "a b c " * 300_000, "last", 64)
    assert len(tokenised) == 1
    assert encode_query(TextTokenizer(bpe()), "a b", "last", 64).tolist() == bpe().encode("a b").ids
    with pytest.raises(InvalidInput, match="must have 1 to 64 tokens; one has 0"):
        encode_query(TextTokenizer(bpe()), "", "last", 64)
