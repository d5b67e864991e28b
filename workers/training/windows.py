"""The OpenELM experiment (appendices F.3, G): random windows of one token array, its tail held out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.contracts.training import OpenELMSpec, TokenData
from service.errors import InvalidInput
from workers.corpora.tokenising import TOKENISING_BYTES
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.data import DataDescription, Tick, no_tick, ready_for, split_tail, spread_starts, windows_at
from workers.training.overlap import STRETCH, first_occurrences, without_repeats
from workers.training.seeding import SEEDING, Seeding, batch_generator, seed_weights
from workers.training.tokenising import end_of_document, first_words, token_arrays, vocabulary_rows

Array = np.ndarray
_GPU_WIDTH = 32  # rows of 954 numbers are not aligned for products in bfloat16; 1216 and 1440 stay as they are
_NOTE = "tokens.json"
NOTES = [
    "train_loss is the mean over the whole batch with dropout on, before the update; val_loss has dropout off and is "
    "the mean over windows spread evenly over the held-out tail. Both are in nats per token. train_loss_eval is the "
    "mean over as many windows of the training part, dropout off.",
    "Windows are drawn uniformly and cross the borders of documents.",
    "held_out_in_training is the share of stretches of 32 held-out tokens that also occur in the training part: "
    "repeated text makes the validation loss, and every gap to it, smaller than for new text.",
]


def prepare_windows(
    data: TokenData,
    texts: Iterable[str],
    tokenizer: Tokenizer | None,
    folder: Path,
    source: dict[str, Any],
    tick: Tick = no_tick,
    memory_bytes: int = TOKENISING_BYTES,
    *,
    tokenizer_sha256: dict[str, str] | None = None,
) -> None:
    """Tokenise a corpus into one array in `folder`; without a tokenizer a token is a byte of UTF-8.

    Args:
        source: where the texts come from and how they are read; written to the note beside the array.
        memory_bytes: most memory for tokenising a document that cannot be cut.
        tokenizer_sha256: digest of the tokenizer's files; a model that the run keeps is used with no other.

    Raises:
        InvalidInput: the tokenizer has an id beyond every vocabulary.
        TooLarge: tokenising would take more than `memory_bytes`.
    """
    d_vocab = vocabulary_rows(tokenizer)
    dtype, count = np.dtype(np.uint16 if d_vocab <= 2**16 else np.uint32), 0
    end = end_of_document(tokenizer)
    with atomic_path(folder / "tokens.bin") as temporary, temporary.open("wb") as file:
        texts = texts if data.words is None else first_words(texts, data.words)
        for part in token_arrays(without_repeats(texts) if data.deduplicate else texts, tokenizer, memory_bytes):
            tick()
            count += len(part)
            file.write(part.astype(dtype).tobytes())
    note = {"d_vocab": d_vocab, "dtype": dtype.name, "tokens": count, "source": source, "end_of_document": end}
    note |= {"sha256": sha256_file(folder / "tokens.bin"), "tokenizer_sha256": tokenizer_sha256}
    if count:
        tokens = np.memmap(folder / "tokens.bin", dtype=dtype, mode="r")
        note["held_out_first_at"] = first_occurrences(*split_tail(tokens, data.validation_share), tick).tolist()
    write_bytes(folder / _NOTE, json.dumps(note).encode())


def describe_windows(spec: OpenELMSpec, folder: Path) -> DataDescription:
    """Describe the tokens prepared in `folder`, as a run uses them.

    Raises:
        InvalidInput: fewer tokens than a window, or than `data.tokens`.
    """
    note = json.loads((folder / _NOTE).read_bytes())
    training, validation = map(len, split_tail(np.empty(note["tokens"], dtype=np.uint8), spec.data.validation_share))
    requested = training if spec.data.tokens is None else spec.data.tokens
    if requested > training or min(requested, validation) <= spec.model.n_ctx:
        detail = f"the corpus gives {training:,} training and {validation:,} validation tokens"
        raise InvalidInput(detail, field="spec.data.tokens")
    repeated = _share_before(note["held_out_first_at"], requested)
    data = {
        "tokens": note["tokens"],
        "training_tokens": requested,
        "validation_tokens": validation,
        "validation_windows": len(spread_starts(validation, spec.model.n_ctx, spec.data.validation_windows)),
        "held_out_in_training": repeated,
        "source": note["source"],
        "tokenizer": spec.data.tokenizer,
        "end_of_document": note["end_of_document"],
        "sha256": note["sha256"],
        "epochs": spec.steps * spec.batch * spec.model.n_ctx / requested,
    }
    return DataDescription(data, {"uniform": float(np.log(note["d_vocab"]))}, repeated or 0.0)


def _share_before(places: list[int], tokens: int) -> float | None:
    """Share of held-out stretches that also occur among the first `tokens` of the training part."""
    return sum(0 <= place <= tokens - STRETCH for place in places) / len(places) if places else None


class WindowTask:
    """The prepared tokens in `folder` and an OpenELM on `device`.

    Args:
        width_multiple: rows are padded to a multiple of it, which changes results by rounding only; by default the
            one that is fastest on the device.
    """

    def __init__(
        self, spec: OpenELMSpec, folder: Path, device: torch.device, *, width_multiple: int | None = None
    ) -> None:
        self.spec, self.device = spec, device
        note = json.loads((folder / _NOTE).read_bytes())
        tokens = np.memmap(folder / "tokens.bin", dtype=np.dtype(note["dtype"]), mode="r")
        train, self._validation = split_tail(tokens, spec.data.validation_share)
        self._train = train[: spec.data.tokens]
        self._tokenizer_sha256 = note.get("tokenizer_sha256")  # data of earlier versions have none
        seed_weights(spec.seed)
        width = width_multiple or (_GPU_WIDTH if device.type == "cuda" else 1)
        options = spec.model.model_dump() | {"d_vocab": note["d_vocab"], "width_multiple": width}
        self.config = OpenELMConfig(**options)
        self.model = OpenELM(self.config).to(device)

    @property
    def about(self) -> dict[str, Any]:
        """The configuration from which the model and its tokenizer are rebuilt."""
        config = asdict(self.config) | {"width_multiple": 1}  # models are kept without padding
        own = {"tokenizer": self.spec.data.tokenizer, "tokenizer_sha256": self._tokenizer_sha256}
        return {"family": "openelm", "config": config, **own}

    def micro_batches(self, step: int, seeding: Seeding = SEEDING) -> list[torch.Tensor]:
        generator = batch_generator(seeding, self.spec.seed, step)
        window, size = self.spec.model.n_ctx, self.spec.micro_batch or self.spec.batch
        starts = generator.integers(0, len(self._train) - window, size=self.spec.batch)
        return list(ready_for(windows_at(self._train, starts, window), self.device).split(size))

    def tokens(self, batch: torch.Tensor) -> int:
        return batch[:, 1:].numel()

    def targets(self, batch: torch.Tensor) -> int:
        return self.tokens(batch)

    def loss(self, batch: torch.Tensor, weight: float) -> torch.Tensor:
        rows = batch.to(self.device, non_blocking=True)
        targets_N = rows[:, 1:].flatten()
        weights_N = torch.full(targets_N.shape, weight, device=self.device)
        hidden_ND = self.model.hidden(rows[:, :-1]).flatten(0, 1)
        return linear_cross_entropy(
            hidden_ND, self.model.output_weight, None, targets_N, weights_N=weights_N, reduction="sum"
        )

    @torch.inference_mode()
    def evaluate(self) -> tuple[float, dict[str, float]]:
        """Mean loss, dropout off, over `validation_windows` windows of the tail and as many of the training part."""
        self.model.eval()
        return self._mean_loss(self._validation), {"train_loss_eval": self._mean_loss(self._train)}

    def _mean_loss(self, tokens: Array) -> float:
        size, window = self.spec.micro_batch or self.spec.batch, self.spec.model.n_ctx
        starts = self._spread(len(tokens))
        total = torch.zeros((), device=self.device, dtype=torch.float64)
        for first in range(0, len(starts), size):
            total += self.loss(windows_at(tokens, starts[first : first + size], window), 1.0)
        return total.item() / (len(starts) * window)

    def _spread(self, length: int) -> Array:
        held_out = spread_starts(len(self._validation), self.spec.model.n_ctx, self.spec.data.validation_windows)
        return spread_starts(length, self.spec.model.n_ctx, len(held_out))

    def final(self) -> dict[str, Any]:
        """Empty: the losses are all that is measured."""
        return {}

    def sample(self, rows: int, tokens: int) -> list[Array]:
        """Windows spread evenly over the held-out tail.

        Raises:
            InvalidInput: a window is longer than the model's context.
        """
        if tokens > self.spec.model.n_ctx:
            raise InvalidInput(f"the model's context is {self.spec.model.n_ctx} tokens", field="spec.radius.tokens")
        places = len(self._validation) // tokens
        chosen = np.unique(np.linspace(0, places - 1, min(rows, places), dtype=np.int64))
        return [np.asarray(self._validation[place * tokens :][:tokens], dtype=np.int64) for place in chosen]
