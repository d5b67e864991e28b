"""Documents as arrays of tokens: by a tokenizer, or one token per byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from service.errors import InvalidInput
from workers.corpora.tokenising import TOKENISING_BYTES, TextTokenizer
from workers.models.tokenizer import embeddings_needed

Array = np.ndarray
_MOST_ROWS = 2**24  # of an embedding: fifty times the largest vocabulary; one stray id would fill the memory
_WORD = re.compile(r"\S+")
_END = "<|endoftext|>"
_BYTE_END = 0  # for the byte vocabulary


def end_of_document(tokenizer: Tokenizer | None) -> dict[str, Any] | None:
    """The end-of-document token, `{"token", "id"}`; None where the tokenizer has none."""
    if tokenizer is None:
        return {"token": f"byte {_BYTE_END}", "id": _BYTE_END}
    end = tokenizer.token_to_id(_END)
    return None if end is None else {"token": _END, "id": end}


def vocabulary_rows(tokenizer: Tokenizer | None) -> int:
    """Rows of the embedding of a model that is trained with a tokenizer, or with bytes.

    Raises:
        InvalidInput: they are more than any vocabulary has.
    """
    rows = 256 if tokenizer is None else embeddings_needed(tokenizer)
    if tokenizer is not None and rows > _MOST_ROWS:
        token = (tokenizer.id_to_token(rows - 1) or "")[:40]
        detail = f"the tokenizer's largest id is {rows - 1:,} ({token!a}); an embedding has at most {_MOST_ROWS:,} rows"
        raise InvalidInput(detail, field="spec.data.tokenizer")
    return rows


def first_words(texts: Iterable[str], words: int) -> Iterator[str]:
    """The first documents of so many words in all, the last one cut after its last word; white space divides words."""
    for text in texts:
        count = len(text.split())
        if count > words:
            if words:
                yield text[: next(islice(_WORD.finditer(text), words - 1, None)).end()]
            return
        yield text
        words -= count


def token_arrays(
    texts: Iterable[str], tokenizer: Tokenizer | None, memory_bytes: int = TOKENISING_BYTES
) -> Iterator[Array]:
    """The tokens of each document, in one or more arrays, followed by the end-of-document token.

    Raises:
        TooLarge: tokenising a document that cannot be cut would take more than `memory_bytes`.
    """
    if tokenizer is None:
        for text in texts:
            yield np.frombuffer(text.encode() + bytes([_BYTE_END]), dtype=np.uint8)
        return
    end = tokenizer.token_to_id(_END)
    for ids, is_last in TextTokenizer(tokenizer, memory_bytes).encode_ids(texts):
        yield np.append(ids, np.int32(end)) if is_last and end is not None else ids
