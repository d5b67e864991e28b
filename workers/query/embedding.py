"""Texts → vectors, by the model and at the site that an activation set was extracted with."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.artifacts.activation_set import ActivationSet
from service.contracts.extraction import ExtractionSpec
from service.contracts.sites import parse_site
from service.errors import Conflict, InvalidInput
from service.settings import Settings
from workers.activations.extraction import extract
from workers.corpora.tokenising import TextTokenizer
from workers.devices.device import choose_device, default_batch_tokens
from workers.models.interface import HookedModel
from workers.models.loading import LoadedModel
from workers.models.tokenizer import check_ids
from workers.neighbors.ticking import Tick
from workers.training.checkpoints import MODEL
from workers.training.named_models import load_named_model

Array = np.ndarray


def embed(
    stored: ActivationSet, texts: list[str], settings: Settings, tick: Tick = lambda share: None
) -> tuple[Array, list[int]]:
    """(texts, d_model) vectors and the lengths in tokens.

    A text is read where the set's rows are: at its last token, or at the set's fixed position. `tick` is called with
    the share of the texts that have been read, once before each forward pass.

    Raises:
        InvalidInput: the set was imported; a text is empty, too long or too short.
        Conflict: the model has changed since.
    """
    extraction: dict[str, Any] | None = stored.manifest.get("extraction")
    if extraction is None:
        raise InvalidInput("the set was imported and has no model; give vectors", field="texts")
    spec = ExtractionSpec(**extraction, sites=[stored.manifest["site"]])
    device = choose_device(settings.device)
    recorded = stored.manifest["model"]["weights_sha256"]
    loaded = load_named_model(spec, lambda _: recorded[MODEL], settings, device)
    if loaded.identity["weights_sha256"] != recorded:
        raise Conflict("the model's weights have changed since the set was extracted", field="texts")
    of_tokenizer = stored.manifest["model"].get("tokenizer_sha256")  # sets of earlier versions have none
    if of_tokenizer is not None and loaded.identity["tokenizer_sha256"] != of_tokenizer:
        raise Conflict("the model's tokenizer has changed since the set was extracted", field="texts")
    position = spec.position if isinstance(spec.position, int) else "last"
    tokenizer = TextTokenizer(loaded.tokenizer, settings.tokenising_memory_bytes)
    sequences = []
    for text in texts:
        tick(0.0)
        sequences.append(encode_tokens(tokenizer, text, position, loaded.model.sizes.n_ctx))
    _check_ids(sequences, loaded)
    site = parse_site(stored.manifest["site"], loaded.model.sizes.n_layers)

    def check(done: int) -> None:
        tick(done / len(texts))

    found = extract(loaded.model, sequences, [site], position, default_batch_tokens(device), check)
    vectors = found.vectors[site].astype(np.float64)
    if not np.isfinite(vectors).all():
        raise InvalidInput("the model gives numbers that are not finite for a text", field="texts")
    return vectors, [len(sequence) for sequence in sequences]


def encode_tokens(tokenizer: TextTokenizer, text: str, position: int | str, most: int) -> Array:
    """(n,) int64 tokens of a text; a text that is too long is tokenised only as far as that is known.

    Args:
        position: the least length is one more, where it is a number.
        most: largest number of tokens.

    Raises:
        InvalidInput: the text is too short or too long.
    """
    tokens, count, whole = list[Array](), 0, False
    for ids, is_last in tokenizer.encode_ids([text]):
        tokens.append(ids)
        count, whole = count + len(ids), is_last
        if count > most:
            break
    least = position + 1 if isinstance(position, int) else 1
    if not least <= count <= most:
        found = f"{count}" if whole else f"{count} or more"
        raise InvalidInput(f"a text must have {least} to {most} tokens; one has {found}", field="texts")
    return np.concatenate(tokens).astype(np.int64)


def _check_ids(sequences: list[Array], loaded: LoadedModel[HookedModel]) -> None:
    try:
        check_ids(max(int(ids.max()) for ids in sequences), loaded.model.sizes.d_vocab, loaded.tokenizer)
    except InvalidInput as error:
        raise InvalidInput(error.detail, field="texts") from error
