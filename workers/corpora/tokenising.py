"""Texts → tokens, in pieces of bounded memory, with the tokens and offsets of the whole text.

The `tokenizers` library takes 150 to 320 bytes of memory for a byte of text. So a long text is cut into pieces where
that changes nothing: for a byte-level BPE with GPT-2's expression, before a white space that follows another character.

Proof, for 's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+ : no alternative matches
a white space after another character, so a match ends at the cut. What follows the cut is matched as before, as the
expression does not look back. What precedes it is matched as before, as only `(?!\\S)` looks beyond a match, by one
character after white space, and the last character before the cut is none. Merges of BPE stay within a match. An added
token changes nothing either, as there is no cut where its content begins, ends or continues.

Nor does a cut change the tokens of a tokenizer of words between white space, or of one whose tokens are single bytes.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer, models, pre_tokenizers

from service.errors import TooLarge
from service.settings import GIB

Array = np.ndarray
TOKENISING_BYTES = 4 * GIB  # the default of the setting
_BYTES_PER_BYTE = 320  # of memory for a byte of text: 148 measured in English, 320 in Base64
_WHITE_SPACE = " \n\t\r"
_PIECE = 2**16  # characters
_TOGETHER = 8 * _PIECE  # characters tokenised at once, by all cores


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text: (n,) int32 ids, and the characters [start, end) of each as (n, 2) int32 offsets."""

    ids: Array
    offsets: Array


class TextTokenizer:
    """Tokenises texts, without special tokens around them.

    Args:
        memory_bytes: most memory for tokenising a text, or a part of one, that cannot be cut.
    """

    def __init__(self, tokenizer: Tokenizer, memory_bytes: int = TOKENISING_BYTES) -> None:
        self._tokenizer, self._most_bytes = tokenizer, memory_bytes // _BYTES_PER_BYTE
        self._spaces = _white_space_to_cut_at(tokenizer)
        self._added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]

    def encode(self, texts: Iterable[str]) -> Iterator[Tokens]:
        """The tokens of each text.

        Raises:
            TooLarge: the text whose turn it is cannot be cut, or not often enough for `memory_bytes`.
        """
        for group in _grouped(texts):
            if len(group[0]) > _PIECE:
                yield self._encode_long(group[0])
            else:
                for encoding in self._tokenizer.encode_batch(group, add_special_tokens=False):
                    yield Tokens(np.asarray(encoding.ids, dtype=np.int32), _offsets(encoding, 0))

    def encode_ids(self, texts: Iterable[str]) -> Iterator[tuple[Array, bool]]:
        """The ids of each text in order, in pieces of (n,) int32, and whether a piece is its text's last.

        Raises:
            TooLarge: as `encode`.
        """
        for group in _grouped(texts):
            long = len(group[0]) > _PIECE
            for pieces in _in_turn(self.pieces(group[0])) if long else [[(0, text) for text in group]]:
                encodings = self._tokenizer.encode_batch_fast([piece for _, piece in pieces], add_special_tokens=False)
                for (start, piece), encoding in zip(pieces, encodings, strict=True):
                    yield np.asarray(encoding.ids, dtype=np.int32), not long or start + len(piece) == len(group[0])

    def pieces(self, text: str) -> Iterator[tuple[int, str]]:
        """The pieces of a text, each with the offset of its first character; raises as `encode`."""
        start = 0
        while start < len(text):
            stop = self._stop(text, start)
            piece = text[start:stop]
            if len(piece) > _PIECE and len(piece.encode()) > self._most_bytes:
                what = "a part of the text without white space is" if self._spaces else "the text cannot be cut and is"
                raise TooLarge(f"{what} longer than {self._most_bytes} bytes (tokenising_memory_bytes)")
            yield start, piece
            start = stop

    def _encode_long(self, text: str) -> Tokens:
        ids, offsets = array("i"), array("i")  # these grow in place, so that there is no second copy
        for pieces in _in_turn(self.pieces(text)):
            encodings = self._tokenizer.encode_batch([piece for _, piece in pieces], add_special_tokens=False)
            for (start, _), encoding in zip(pieces, encodings, strict=True):
                ids.extend(encoding.ids)
                offsets.frombytes(_offsets(encoding, start).tobytes())
        return Tokens(np.asarray(ids), np.asarray(offsets).reshape(-1, 2))

    def _stop(self, text: str, start: int) -> int:
        """The end of the piece that starts at `start`: after `_PIECE` characters or before, if it can be cut there."""
        end = start + _PIECE
        if not self._spaces or end >= len(text):
            return len(text)
        before = range(end, start, -1)
        after = range(end + 1, len(text))
        return next((place for places in (before, after) for place in places if self._cuts(text, place)), len(text))

    def _cuts(self, text: str, place: int) -> bool:
        return (
            text[place] in self._spaces
            and not text[place - 1].isspace()
            and not any(added in text[max(0, place - len(added)) : place + len(added)] for added in self._added)
        )


def _white_space_to_cut_at(tokenizer: Tokenizer) -> str:
    """The white space before which a text may be cut; none for a tokenizer of which that is not proved."""
    splitting, merging = tokenizer.pre_tokenizer, tokenizer.model
    if tokenizer.normalizer is not None or not _keeps_offsets(tokenizer.post_processor):
        return ""
    if isinstance(splitting, pre_tokenizers.WhitespaceSplit) and isinstance(merging, models.WordLevel):
        return _WHITE_SPACE
    if not isinstance(splitting, pre_tokenizers.ByteLevel) or not isinstance(merging, models.BPE) or merging.dropout:
        return ""
    if not splitting.use_regex and _state(merging)["merges"]:  # without merges, every byte is a token
        return ""
    return " " if splitting.add_prefix_space else _WHITE_SPACE  # the prefix is put before a piece that has no space


def _keeps_offsets(processor: Any) -> bool:
    """Whether a post-processor leaves the tokens and offsets of a piece as they are, without special tokens."""
    if processor is None:
        return True
    described = _state(processor)
    steps = described["processors"] if described["type"] == "Sequence" else [described]
    # ByteLevel may move the offsets of a text's first token.
    return all(step["type"] == "TemplateProcessing" or step.get("trim_offsets") is False for step in steps)


def _state(component: Any) -> dict[str, Any]:
    """A part of a tokenizer as `tokenizer.json` has it."""
    return json.loads(component.__getstate__())


def _grouped(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in groups to be tokenised at once; a text longer than a piece is a group of its own."""
    group, size = list[str](), 0
    for text in texts:
        if group and (len(text) > _PIECE or size + len(text) > _TOGETHER):
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
        if size > _TOGETHER or len(text) > _PIECE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _in_turn(pieces: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Pieces in groups to be tokenised at once."""
    group, size = list[tuple[int, str]](), 0
    for piece in pieces:
        group.append(piece)
        size += len(piece[1])
        if size >= _TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def _offsets(encoding: Encoding, start: int) -> Array:
    return np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2) + np.int32(start)
