"""Documents as arrays of tokens: by a tokenizer, or one token per byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from service.errors import InvalidInput
from service.settings import MIB
from workers.models.tokenizer import embeddings_needed

Array = np.ndarray
_TOGETHER = 8 * MIB  # of text tokenised at once: the tokenizer's result takes forty times that
_MOST_ROWS = 2**24  # of an embedding: fifty times the largest vocabulary; one stray id would fill the memory
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


def token_arrays(texts: Iterable[str], tokenizer: Tokenizer | None) -> Iterator[Array]:
    """The tokens of each document, followed by the end-of-document token."""
    if tokenizer is None:
        for text in texts:
            yield np.frombuffer(text.encode() + bytes([_BYTE_END]), dtype=np.uint8)
        return
    end = tokenizer.token_to_id(_END)
    for group in in_groups(texts):
        for encoding in tokenizer.encode_batch_fast(group, add_special_tokens=False):
            yield np.asarray([*encoding.ids, *([] if end is None else [end])])


def in_groups(texts: Iterable[str], most: int = _TOGETHER) -> Iterator[list[str]]:
    """Texts in groups of at most `most` bytes; one that is longer is a group of its own."""
    group, size = list[str](), 0
    for text in texts:
        added = len(text.encode())
        if group and size + added > most:
            yield group
            group, size = [], 0
        group.append(text)
        size += added
    if group:
        yield group
