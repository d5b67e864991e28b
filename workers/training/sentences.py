"""The Question-Formation experiment (appendix F.2): a decoder on whole lines of the question-formation language."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import sha256_file, write_bytes
from service.artifacts.manifest import canonical_json
from service.contracts.training import PUBLISHED_LINES, QuestionFormationSpec
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.data import DataDescription, Tick, no_tick, ready_for
from workers.training.question_formation.checks import check_splits
from workers.training.question_formation.entropy import data_entropy, memorisation_floor
from workers.training.question_formation.evaluation import Losses, Tally, generalisation, in_distribution, losses
from workers.training.question_formation.grammar import Grammar, Line
from workers.training.question_formation.lexicon import LEXICONS
from workers.training.question_formation.original_files import read_folder
from workers.training.question_formation.splits import Splits, SplitSizes, generate
from workers.training.question_formation.vocabulary import (
    Batch,
    EncodedLines,
    Part,
    ShuffledBatches,
    Vocabulary,
    encode,
)
from workers.training.seeding import SEEDING, Seeding, seed_weights

Array = np.ndarray
_TRAIN, _NOTE = "train.safetensors", "lines.json"
_SAMPLES = 1  # random stream of the samples, distinct from that of the lines
_BATCH = 256  # lines evaluated at once
_ARRAYS = ("tokens", "parts", "offsets")
_NOTES = [
    "train_loss has dropout on, val_loss off; both are means over all targets of the lines, the end of line included, "
    "unless `loss` says otherwise. train_loss_eval is the loss of as many training lines as are validated on, dropout "
    "off.",
    "in_distribution is measured on the i.i.d. test lines, or without any on the validation lines (`split`).",
]


def prepare_sentences(spec: QuestionFormationSpec, folder: Path, corpora_root: Path, tick: Tick = no_tick) -> None:
    """Generate or read the lines, check them and store them in `folder`.

    Raises:
        InvalidInput: fewer distinct lines exist than are requested, or a file is not of the language.
    """
    grammar = Grammar(LEXICONS[spec.data.lexicon]())
    splits = _splits(spec, grammar, corpora_root, tick)
    report = check_splits(splits, grammar, tick)
    for name, lines in splits.named().items():
        write_bytes(folder / f"{name}.txt", "".join(f"{line.text}\n" for line in lines).encode())
    train = encode(splits.train, Vocabulary(grammar.lexicon))
    save_tensors(folder / _TRAIN, {name: getattr(train, name) for name in _ARRAYS})
    entropy = data_entropy(grammar, splits.train)
    hashes = {name: sha256_file(folder / f"{name}.txt") for name in splits.named()}
    kind = {"line": "whole"}.get(spec.loss, spec.loss)
    reference = {"grammar_entropy": entropy.floor(kind)}  # pyright: ignore[reportArgumentType]
    if spec.loss != "sum":  # 1 nat per token
        reference["unit"] = 1.0
    if spec.loss in ("line", "sum"):
        tokens = fmean(len(line.tokens) + 1 for line in splits.train) if spec.loss == "line" else 1.0
        reference["memorisation"] = memorisation_floor(Counter(splits.train).values(), tokens)
    note = {"data": asdict(report) | {"sha256": hashes}, "reference_lines": reference}
    write_bytes(folder / _NOTE, canonical_json(note))


def notes_on_sentences(spec: QuestionFormationSpec, lines: dict[str, float]) -> list[str]:
    """Sentences that explain the numbers of a run by its reference `lines`."""
    unit = "line" if spec.loss == "sum" else "target"
    found = [f"The least mean loss in this language is its entropy, {lines['grammar_entropy']:.4f} nats per {unit}."]
    if "memorisation" in lines:
        found.append(f"The loss of perfect memorisation of its training lines is {lines['memorisation']:.4f}.")
    if "unit" in lines and min(lines.values()) < 1:
        found.append("L ≥ 1 (Prop. 4) is contradicted where the loss comes below 1: a plateau is at the entropy.")
    return [" ".join(found), *_NOTES]


def describe_sentences(folder: Path) -> DataDescription:
    """Describe the lines prepared in `folder`."""
    note = json.loads((folder / _NOTE).read_bytes())
    return DataDescription(note["data"], note["reference_lines"])


class SentenceTask:
    """The prepared lines in `folder` and a decoder on `device`."""

    def __init__(self, spec: QuestionFormationSpec, folder: Path, device: torch.device) -> None:
        self.spec, self.device = spec, device
        grammar = Grammar(LEXICONS[spec.data.lexicon]())
        self.vocabulary = Vocabulary(grammar.lexicon)
        train = EncodedLines(**load_file(folder / _TRAIN), sos=self.vocabulary.sos)
        self._batches = ShuffledBatches(train, spec.batch, spec.seed)
        self._lines = {name: _read(folder / f"{name}.txt", grammar) for name in ("val", "test", "gen")}
        self._val = encode(self._lines["val"], self.vocabulary)
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([data_seed(spec), _SAMPLES])))
        self._train = train.only(_sample(generator, len(train), len(self._val)))
        gen = self._lines["gen"]  # the published file is sorted by kind
        self._gen = [gen[at] for at in _sample(generator, len(gen), spec.generalisation_lines)]
        seed_weights(spec.seed)
        config = SentenceDecoderConfig(**spec.model.model_dump(), d_vocab=self.vocabulary.size)
        self.model = SentenceDecoder(config).to(device)

    @property
    def about(self) -> dict[str, Any]:
        """The configuration from which the model and its tokenizer are rebuilt."""
        return {"family": "sentence_decoder", "config": asdict(self.model.config), "tokens": self.vocabulary.tokens}

    def micro_batches(self, step: int, seeding: Seeding = SEEDING) -> list[Batch]:
        whole, size = self._batches.at(step, seeding), self.spec.micro_batch or self.spec.batch
        starts = range(0, len(whole.lengths), size)
        given = (whole.inputs, whole.targets, whole.parts)
        parts = (*(ready_for(tensor, self.device) for tensor in given), whole.lengths)
        return [Batch(*(tensor[start : start + size] for tensor in parts)) for start in starts]

    def tokens(self, batch: Batch) -> int:
        return int(batch.lengths.sum())

    def targets(self, batch: Batch) -> int:
        return len(batch.lengths) if self.spec.loss == "sum" else int(self._mask(batch.parts).sum())

    def loss(self, batch: Batch, weight: float) -> torch.Tensor:
        given = (batch.inputs, batch.targets, batch.parts)
        inputs_BT, targets_BT, parts_BT = (tensor.to(self.device, non_blocking=True) for tensor in given)
        hidden_BTD = self.model.hidden(inputs_BT)
        targets_N, weights_N = targets_BT.flatten(), self._mask(parts_BT).flatten() * weight
        output = self.model.output_weight, self.model.output_bias
        return linear_cross_entropy(hidden_BTD.flatten(0, 1), *output, targets_N, weights_N=weights_N, reduction="sum")

    def evaluate(self) -> tuple[float, dict[str, float]]:
        """The run's own kind of loss on the validation lines, dropout off, and further measures.

        They are the loss by part, the loss of as many training lines, and first-word accuracies if there are questions.
        """
        self.model.eval()
        found = losses(self._logits, self._val, _BATCH)
        named = {"declarative": found.declarative, "task": found.task, "output": found.output}
        parts = {f"val_{name}": part.mean for name, part in named.items()}
        parts["train_loss_eval"] = self._of_kind(losses(self._logits, self._train, _BATCH))
        accuracy = in_distribution(self._logits, self._lines["val"], self.vocabulary, _BATCH)
        beyond = generalisation(self._logits, self._gen, self.vocabulary, _BATCH)
        shares = {
            "val_first_auxiliary": accuracy.first_auxiliary,
            "gen_first_word": beyond.all.first_word,
            "gen_move_first": beyond.all.move_first,
        }
        measured = {name: tally.share for name, tally in shares.items() if tally.share is not None}
        return self._of_kind(found), parts | measured

    def final(self) -> dict[str, Any]:
        """Accuracies with counts on all lines of the withheld kind and all i.i.d. lines, and the loss of the latter."""
        self.model.eval()
        split = "test" if self._lines["test"] else "val"
        lines = self._lines[split]
        beyond = generalisation(self._logits, self._lines["gen"], self.vocabulary, _BATCH)
        within = in_distribution(self._logits, lines, self.vocabulary, _BATCH)
        loss = self._of_kind(losses(self._logits, encode(lines, self.vocabulary), _BATCH))
        found = {"generalisation": asdict(beyond), "in_distribution": {"split": split, "loss": loss} | asdict(within)}
        return _with_shares(found)

    def _of_kind(self, found: Losses) -> float:
        """The loss of the run's own kind."""
        kinds = {"line": found.whole.mean, "sum": found.per_line}
        kinds |= {"declarative": found.declarative.mean, "output": found.output.mean}
        return kinds[self.spec.loss]

    def sample(self, rows: int, tokens: int) -> list[Array]:
        """The first distinct i.i.d. lines, whole, each preceded by the start token."""
        lines = list(dict.fromkeys(line.text for name in ("test", "val") for line in self._lines[name]))[:rows]
        ids = self.vocabulary.ids
        return [np.array([self.vocabulary.sos, *(ids[word] for word in line.split())]) for line in lines]

    def _mask(self, parts: torch.Tensor) -> torch.Tensor:
        only = {"declarative": Part.DECLARATIVE, "output": Part.OUTPUT}.get(self.spec.loss)
        return parts != Part.PADDING if only is None else parts == only

    @torch.inference_mode()
    def _logits(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model.logits(tokens.to(self.device))


def _splits(spec: QuestionFormationSpec, grammar: Grammar, corpora_root: Path, tick: Tick) -> Splits:
    if spec.data.folder is not None:
        return read_folder(corpora_root / spec.data.folder, grammar, tick).splits
    sizes = SplitSizes(*(getattr(spec.data, name) for name in PUBLISHED_LINES))
    return generate(grammar, sizes, data_seed(spec), tick=tick)


def _sample(generator: np.random.Generator, lines: int, wanted: int) -> Array:
    """Sorted indices of up to `wanted` lines, drawn uniformly without replacement."""
    return np.sort(generator.choice(lines, min(lines, wanted), replace=False))


def data_seed(spec: QuestionFormationSpec) -> int:
    """The seed of the lines and of the samples that are evaluated; all runs of a sweep share it."""
    return spec.seed if spec.data.seed is None else spec.data.seed


def _read(path: Path, grammar: Grammar) -> list[Line]:
    return [grammar.parse(line) for line in path.read_text().splitlines()]


def _with_shares(found: Any) -> Any:
    """The same with the `share` added to every `{"count", "lines"}`."""
    if isinstance(found, dict):
        inner = {key: _with_shares(value) for key, value in found.items()}
        return inner | {"share": Tally(**found).share} if set(found) == {"count", "lines"} else inner
    return found
