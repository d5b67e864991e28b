"""Loading models that training runs have kept; they are read at the same sites as other models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from service.contracts.run_models import RunModel
from service.contracts.training import BYTES
from service.errors import Conflict, CorruptArtifact
from workers.models.loading import DTYPES, LoadedModel, load_tokenizer, tokenizer_hashes
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.models.prefixed import PrefixedModel
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig
from workers.models.trainable import TrainableModel
from workers.training.checkpoints import ABOUT, MODEL, kept_name, read_kept


@lru_cache(maxsize=1)  # one, as for other models: consecutive segments use the same model
def load_kept(
    name: RunModel, sha256: str, artifacts_root: Path, models_root: Path, device: torch.device, dtype: str
) -> LoadedModel[PrefixedModel | TrainableModel]:
    """The model kept at the step of `name`, in `dtype` on `device`, with an `identity` like that of other models.

    The start token stands before every sequence of a decoder of whole lines, so that each begins a line.

    Args:
        sha256: digest of the model's manifest.

    Raises:
        CorruptArtifact: a file is missing, or its SHA-256 differs.
        InvalidInput: the tokenizer it was trained with no longer exists.
        Conflict: that tokenizer has changed.
    """
    assert name.step is not None
    weights, about = read_kept(artifacts_root / name.run / kept_name(name.step), sha256)
    made, tokenizer = _build(about, models_root)
    made.load_state_dict(weights)
    made.to(device).eval()
    for parameter in made.parameters():  # buffers, the tables of positions, stay in float32
        parameter.data = parameter.data.to(DTYPES[dtype])
    identity = {
        "model": str(name),
        "revision": None,
        "weights_sha256": {MODEL: sha256},
        "tokenizer_sha256": about.get("tokenizer_sha256"),
        "content": sha256,
        "config": about["config"] | {"dtype": dtype, "family": about["family"]},
    }
    if isinstance(made, SentenceDecoder):
        return LoadedModel(PrefixedModel(made, len(about["tokens"]) + 2), tokenizer, identity)
    return LoadedModel(made, tokenizer, identity)


def _build(about: dict[str, Any], models_root: Path) -> tuple[SentenceDecoder | OpenELM, Tokenizer]:
    if about["family"] == "sentence_decoder":
        return SentenceDecoder(SentenceDecoderConfig(**about["config"])), word_tokenizer(about["tokens"])
    if about["family"] == "openelm":
        named = about["tokenizer"]
        if named != BYTES:
            _check_tokenizer(about, models_root)
        tokenizer = byte_tokenizer() if named == BYTES else load_tokenizer(named, None, models_root)
        return OpenELM(OpenELMConfig(**about["config"])), tokenizer
    raise CorruptArtifact(f"the {ABOUT} of a kept model has an unknown family")


def _check_tokenizer(about: dict[str, Any], models_root: Path) -> None:
    wanted = about.get("tokenizer_sha256")  # models that earlier versions kept have none
    if wanted is not None and tokenizer_hashes(about["tokenizer"], None, models_root) != wanted:
        raise Conflict("the tokenizer has changed since the run was trained with it", field="model")


def byte_tokenizer() -> Tokenizer:
    """A tokenizer whose tokens are the bytes of UTF-8; the id is the value of the byte."""
    vocabulary = {character: byte for byte, character in enumerate(_byte_characters())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def word_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A tokenizer of words between spaces with ids from 1; unknown words get 0, the id of padding."""
    ids = {word: at for at, word in enumerate(words, start=1)}
    unknown = "<pad>"
    tokenizer = Tokenizer(models.WordLevel(ids | {unknown: 0}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _byte_characters() -> list[str]:
    """The visible character that represents each byte in the library's byte-level tokenizers (GPT-2's rule)."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in visible)
    characters = {byte: chr(byte) for byte in visible} | {byte: chr(256 + at) for at, byte in enumerate(others)}
    return [characters[byte] for byte in range(256)]
