"""Documents as arrays of tokens: by a tokenizer, or one token per byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from workers.corpora.tokenising import TOKENISING_BYTES, TextTokenizer

Array = np.ndarray
_END = "<|endoftext|>"
_BYTE_END = 0  # for the byte vocabulary


def end_of_document(tokenizer: Tokenizer | None) -> dict[str, Any] | None:
    """The end-of-document token, `{"token", "id"}`; None where the tokenizer has none."""
    if tokenizer is None:
        return {"token": f"byte {_BYTE_END}", "id": _BYTE_END}
    end = tokenizer.token_to_id(_END)
    return None if end is None else {"token": _END, "id": end}


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
