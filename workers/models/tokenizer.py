"""The tokenizer stored with a model, by its files."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from service.errors import InvalidInput, UnsupportedModel


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of `tokenizer.json`, or of the older `vocab.json` and `merges.txt`.

    `tokenizer.json` is read as it stands: the library's own class for GPT-2 would make a new tokenizer of its
    vocabulary and leave out the file's normalizer and pre-tokenizer.

    Raises:
        InvalidInput: the folder has no tokenizer.
        UnsupportedModel: its files cannot be read, or give no tokenizer with offsets.
    """
    if (folder / "tokenizer.json").exists():
        tokenizer = _from_file(folder / "tokenizer.json")
    elif (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        tokenizer = _from_vocabulary(folder)
    else:
        raise InvalidInput("no tokenizer was found with the model (tokenizer.json)", field="model")
    if not tokenizer.get_vocab_size():
        raise UnsupportedModel("the model's tokenizer has no tokens", field="model")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if getattr(tokenizer.model, "dropout", None):  # random merges are for training a model
        tokenizer.model.dropout = None
    return tokenizer


def embeddings_needed(tokenizer: Tokenizer) -> int:
    """Rows that an embedding needs for every token: the largest id + 1. Ids may have gaps, so this is no count."""
    return 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())


def check_ids(largest: int, d_vocab: int, tokenizer: Tokenizer) -> None:
    """Raise `InvalidInput` unless the model has an embedding for the largest id that a text gave."""
    if largest >= d_vocab:
        token = (tokenizer.id_to_token(largest) or "")[:40]
        detail = f"the tokenizer gives the id {largest} ({token!a}); the model has {d_vocab} embeddings"
        raise InvalidInput(detail, field="model")


def check_vocabulary(tokenizer: Tokenizer, d_vocab: int) -> None:
    """Raise `InvalidInput` if an ordinary token has no embedding. An added one may lack it while no text has it."""
    added = tokenizer.get_added_tokens_decoder()
    ordinary = (one for one in tokenizer.get_vocab(with_added_tokens=False).values() if one not in added)
    check_ids(max(ordinary, default=0), d_vocab, tokenizer)


def _from_file(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        reason = str(error).split("\n", 1)[0][:120]
        raise UnsupportedModel(f"tokenizer.json cannot be read ({reason!a})", field="model") from error


def _from_vocabulary(folder: Path) -> Tokenizer:
    from transformers.models.auto.tokenization_auto import AutoTokenizer
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

    try:
        wrapped = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever the library's parsers raise
        detail = f"vocab.json and merges.txt give no tokenizer ({type(error).__name__})"
        raise UnsupportedModel(detail, field="model") from error
    if not isinstance(wrapped, PreTrainedTokenizerFast):
        raise UnsupportedModel("the model's tokenizer has no fast version, which gives offsets", field="model")
    return wrapped.backend_tokenizer
