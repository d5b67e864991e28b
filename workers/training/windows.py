"""The OpenELM experiment (appendices F.3, G): random windows of one token array, its tail held out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.contracts.training import OpenELMSpec, TokenData
from service.errors import InvalidInput
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.data import consecutive_windows, split_tail, windows_at
from workers.training.overlap import STRETCH, first_occurrences, without_repeats

Array = np.ndarray
_TOGETHER = 1_000  # documents tokenised at once
_BYTE_END = 0  # between documents, for the byte vocabulary
_GPU_WIDTH = 32  # rows of 954 numbers are not aligned for products in bfloat16; 1216 and 1440 stay as they are
_NOTE = "tokens.json"
NOTES = [
    "train_loss is the mean over the whole batch with dropout on, before the update; val_loss has dropout off and is "
    "the mean over whole windows from the start of the held-out tail. Both are nats per token. train_loss_eval is the "
    "loss of as many windows spread over the training part, dropout off.",
    "Windows are drawn uniformly and cross borders of documents.",
    "held_out_in_training is the share of stretches of 32 held-out tokens that stand in the training part too: text "
    "that repeats itself makes the validation loss, and every gap to it, smaller than for new text.",
]


def prepare_windows(
    data: TokenData, texts: Iterable[str], tokenizer: Tokenizer | None, folder: Path, source: dict[str, Any]
) -> None:
    """Tokenise a corpus into one array in `folder`; without a tokenizer a token is a byte of UTF-8.

    Args:
        source: where the texts come from and how they are read; noted.
    """
    d_vocab = 256 if tokenizer is None else tokenizer.get_vocab_size()
    dtype, count = np.dtype(np.uint16 if d_vocab <= 2**16 else np.uint32), 0
    with atomic_path(folder / "tokens.bin") as temporary, temporary.open("wb") as file:
        for part in _tokens(without_repeats(texts) if data.deduplicate else texts, tokenizer):
            count += len(part)
            file.write(part.astype(dtype).tobytes())
    note = {"d_vocab": d_vocab, "dtype": dtype.name, "tokens": count, "source": source}
    note["sha256"] = sha256_file(folder / "tokens.bin")
    if count:
        tokens = np.memmap(folder / "tokens.bin", dtype=dtype, mode="r")
        note["held_out_first_at"] = first_occurrences(*split_tail(tokens, data.validation_share)).tolist()
    write_bytes(folder / _NOTE, json.dumps(note).encode())


def describe_windows(spec: OpenELMSpec, folder: Path) -> dict[str, Any]:
    """`{"data", "reference_lines"}` of a run on the tokens prepared in `folder`.

    Raises:
        InvalidInput: fewer tokens than a window, or than `data.tokens`.
    """
    note = json.loads((folder / _NOTE).read_bytes())
    training, validation = map(len, split_tail(np.empty(note["tokens"], dtype=np.uint8), spec.data.validation_share))
    asked = training if spec.data.tokens is None else spec.data.tokens
    if asked > training or min(asked, validation) <= spec.model.n_ctx:
        detail = f"the corpus gives {training:,} training and {validation:,} validation tokens"
        raise InvalidInput(detail, field="spec.data.tokens")
    data = {
        "tokens": note["tokens"],
        "training_tokens": asked,
        "validation_tokens": validation,
        "held_out_in_training": _share_before(note["held_out_first_at"], asked),
        "source": note["source"],
        "tokenizer": spec.data.tokenizer,
        "sha256": note["sha256"],
        "epochs": spec.steps * spec.batch * spec.model.n_ctx / asked,
    }
    return {"data": data, "reference_lines": {"uniform": float(np.log(note["d_vocab"]))}}


def _share_before(places: list[int], tokens: int) -> float | None:
    """Share of held-out stretches that stand among the first `tokens` of the training part too."""
    return sum(0 <= place <= tokens - STRETCH for place in places) / len(places) if places else None


class WindowTask:
    """The prepared tokens in `folder` and an OpenELM on `device`.

    Args:
        width_multiple: how rows are stored, which changes no number but by rounding; default: as the device likes it.
    """

    def __init__(
        self, spec: OpenELMSpec, folder: Path, device: torch.device, *, width_multiple: int | None = None
    ) -> None:
        self.spec, self.device = spec, device
        note = json.loads((folder / _NOTE).read_bytes())
        tokens = np.memmap(folder / "tokens.bin", dtype=np.dtype(note["dtype"]), mode="r")
        train, self._validation = split_tail(tokens, spec.data.validation_share)
        self._train = train[: spec.data.tokens]
        torch.manual_seed(spec.seed)
        width = width_multiple or (_GPU_WIDTH if device.type == "cuda" else 1)
        options = spec.model.model_dump() | {"d_vocab": note["d_vocab"], "width_multiple": width}
        self.config = OpenELMConfig(**options)
        self.model = OpenELM(self.config).to(device)

    @property
    def about(self) -> dict[str, Any]:
        """What is needed to build the model again and to read its tokens."""
        config = asdict(self.config) | {"width_multiple": 1}  # models are kept without padding
        return {"family": "openelm", "config": config, "tokenizer": self.spec.data.tokenizer}

    def micro_batches(self, step: int) -> list[torch.Tensor]:
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.spec.seed, step])))
        window, size = self.spec.model.n_ctx, self.spec.micro_batch or self.spec.batch
        starts = generator.integers(0, len(self._train) - window, size=self.spec.batch)
        return list(windows_at(self._train, starts, window).split(size))

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
        """Mean loss over the first `validation_batches` batches of whole windows of the tail, dropout off; and over
        as many windows spread evenly over the training part.
        """
        self.model.eval()
        size, window = self.spec.micro_batch or self.spec.batch, self.spec.model.n_ctx
        whole = consecutive_windows(self._validation, window, size)
        validation = list(islice(whole, self.spec.data.validation_batches))
        starts = np.linspace(0, len(self._train) - window - 1, sum(map(len, validation)), dtype=np.int64)
        training = windows_at(self._train, starts, window).split(size)
        return self._mean_loss(validation), {"train_loss_eval": self._mean_loss(training)}

    def _mean_loss(self, batches: Sequence[torch.Tensor]) -> float:
        total = sum(self.loss(batch, 1.0).item() for batch in batches)
        return total / sum(map(self.targets, batches))

    def final(self) -> dict[str, Any]:
        """Nothing beyond the losses."""
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


def _tokens(texts: Iterable[str], tokenizer: Tokenizer | None) -> Iterator[Array]:
    """The tokens of each document, an end of text after it."""
    if tokenizer is None:
        for text in texts:
            yield np.frombuffer(text.encode() + bytes([_BYTE_END]), dtype=np.uint8)
        return
    end = tokenizer.token_to_id("<|endoftext|>")
    group: list[str] = []
    for text in texts:
        group.append(text)
        if len(group) == _TOGETHER:
            yield from _encode(group, tokenizer, end)
            group = []
    yield from _encode(group, tokenizer, end)


def _encode(texts: list[str], tokenizer: Tokenizer, end: int | None) -> Iterator[Array]:
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        yield np.asarray([*encoding.ids, *([] if end is None else [end])])
