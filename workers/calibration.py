"""The speed of this device at each kind of work, measured on a small sample by the code that jobs run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tokenizers import ByteLevelBPETokenizer

from service.artifacts.atomic import sha256_file, write_bytes
from service.contracts.base import now
from service.contracts.estimates import Calibration, Rate
from service.contracts.sites import FINAL_NORM, Site
from service.contracts.training import Optimisation, QuestionFormationSpec, SentenceData
from service.estimates.shapes import ModelShape
from service.estimates.work import drawn_numbers
from workers.corpora.documents import Document
from workers.devices.device import default_batch_tokens, has_bfloat16
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.figures.saving import save_figure
from workers.models.gpt2 import GPT2
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig
from workers.models.trainable import TrainableModel
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.null_model import gaussian_null, principal_deviations
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.optimizer import adamw
from workers.training.sentences import prepare_sentences

_WIDTHS = (128, 768)  # of forward passes: the smallest models here, and GPT-2
_LAYERS, _CONTEXT, _VOCABULARY = 2, 128, 512
_D = 512
_FEW = {"cpu": 8192, "cuda": 131_072}  # of a search: enough to occupy a GPU, whose launches would be timed otherwise
_MANY = {"cpu": 32_768, "cuda": 524_288}
_POINTS = {"cpu": 2048, "cuda": 16_384}  # of an energy
_PATTERNS = 512  # so few that what a point costs by itself is most of the time
_DRAWS = 1000
_LEAST_SHARE = 0.05
_SHARD = 1024
_LONG_S = 0.5
_STORED_BYTES = 32 * 2**20
_TEXT_BYTES = 2**20
_LINES = 2000
_SENTENCES, _SENTENCE = {"cpu": 64, "cuda": 1024}, 22
_WINDOWS, _WINDOW = {"cpu": 4, "cuda": 128}, 256


@dataclass(frozen=True)
class _Model:
    """A model to train, its batch, and what a step of it costs."""

    model: TrainableModel
    shape: ModelShape
    batch: tuple[int, int]


def calibrate(device: torch.device, documents: list[Document], folder: Path) -> Calibration:
    """Measure all rates, in some seconds; `documents` give the text, `folder` holds temporary files."""
    generator = np.random.Generator(np.random.PCG64(0))
    sizes = _PATTERNS, _POINTS[device.type], _FEW[device.type], _MANY[device.type]
    least, points, few, many = (_in_shards(generator.standard_normal((n, _D), dtype=np.float32)) for n in sizes)
    encoding, searching = _two_speeds(*(_search(rows, device) for rows in (few, many)))
    each, energies = _two_speeds(*(_energy(patterns, points, device) for patterns in (least, many)))
    return Calibration(
        tokenising=_tokenising(documents),
        forward=[_forward(width, device) for width in _WIDTHS],
        training=[_training(_sentences(device), device), _training(_windows(device), device)],
        encoding=encoding,
        searching=searching,
        counting=_counting(many, encoding, device),
        drawing=drawn_numbers(len(many), _D, _DRAWS) / _seconds(lambda: _draw(many, device)),
        points=each,
        energies=energies,
        generating=_LINES / _seconds(lambda: _generate(folder)),
        storing=_STORED_BYTES / _seconds(lambda: _store(folder)),
        reports=1 / _seconds(lambda: _report(folder)),
        measured_at=now(),
    )


@dataclass(frozen=True)
class _Run:
    """The time of a run that treats so many things one by one and computes so many products."""

    things: float
    products: float
    seconds: float


def _two_speeds(small: _Run, large: _Run) -> tuple[float, float]:
    """Things and products per second, from two runs: t = things / a + products / b.

    Noise must not make either infinite: both have at least a share of the time of the larger run.
    """
    ratio = large.things / small.things
    per_product = (large.seconds - ratio * small.seconds) / (large.products - ratio * small.products)
    per_product = max(per_product, _LEAST_SHARE * large.seconds / large.products)
    per_thing = (large.seconds - per_product * large.products) / large.things
    return 1 / max(per_thing, _LEAST_SHARE * large.seconds / large.things), 1 / per_product


def _search(rows: StoredRows, device: torch.device) -> _Run:
    question, n = _among(rows), len(rows)
    return _Run(n * _D, n**2 / 2 * _D, _seconds(lambda: exact_neighbors(question, SearchOptions(device))))


def _counting(rows: StoredRows, encoding: float, device: torch.device) -> float:
    """Products per second of counts, without the time of encoding."""
    question, radii = _among(rows), [float(0.9 * np.sqrt(2 * _D))]  # tens of neighbours are within
    whole = _seconds(lambda: count_within(question, radii, SearchOptions(device)))
    return len(rows) ** 2 / 2 * _D / max(whole - len(rows) * _D / encoding, _LEAST_SHARE * whole)


def _among(rows: StoredRows) -> Question:
    return Question(rows, seeded_permutation(len(rows), 0), [len(rows)])


def _energy(patterns: StoredRows, points: StoredRows, device: torch.device) -> _Run:
    """At the two inverse temperatures that every job has."""
    seconds = _seconds(lambda: evaluate(prepare_patterns(patterns, device=device), points, (1.0, 2.0)))
    return _Run(len(points), len(points) * len(patterns) * _D, seconds)


def _in_shards(rows: np.ndarray) -> StoredRows:
    """Rows in as many arrays as those of an extracted set."""
    return StoredRows(np.array_split(rows, -(-len(rows) // _SHARD)))


def _seconds(act: Callable[[], object]) -> float:
    """The time of the faster of two runs, after a warm-up run; of a long run one."""
    taken: list[float] = []
    while len(taken) < 3 and not (len(taken) == 2 and taken[1] > _LONG_S):
        began = time.perf_counter()
        act()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the current device, which is the segment's
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def _tokenising(documents: list[Document]) -> float:
    text = "\n".join(document.text for document in documents)[:_TEXT_BYTES]
    tokenizer: Any = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([text[: _TEXT_BYTES // 4]], vocab_size=_VOCABULARY)
    return len(text.encode()) / _seconds(lambda: tokenizer.encode_batch([text]))


def _forward(width: int, device: torch.device) -> Rate:
    from transformers.models.gpt2.configuration_gpt2 import GPT2Config
    from transformers.models.gpt2.modeling_gpt2 import GPT2Model

    config = GPT2Config(n_layer=_LAYERS, n_embd=width, n_head=width // 64, n_positions=_CONTEXT, vocab_size=_VOCABULARY)
    model = GPT2(GPT2Model(config).to(device))  # pyright: ignore[reportArgumentType]
    sequences = max(1, default_batch_tokens(device) // _CONTEXT)
    tokens = torch.randint(0, _VOCABULARY, (sequences, _CONTEXT), device=device)
    shape = ModelShape(width, (12 * width**2,) * _LAYERS, (width,) * _LAYERS, 0, 0)
    flops = shape.forward_flops(tokens.numel(), _CONTEXT)
    return Rate(d_model=width, per_s=flops / _seconds(lambda: model.read(tokens, [Site(_LAYERS, FINAL_NORM)])))


def _sentences(device: torch.device) -> _Model:
    width, mlp = 128, 512
    config = SentenceDecoderConfig(n_layers=_LAYERS, d_model=width, n_heads=4, d_mlp=mlp, d_vocab=70)
    block = 4 * width**2 + 2 * width * mlp
    shape = ModelShape(width, (block,) * _LAYERS, (width,) * _LAYERS, 70, 0)
    return _Model(SentenceDecoder(config), shape, (_SENTENCES[device.type], _SENTENCE))


def _windows(device: torch.device) -> _Model:
    width, heads, mlp, vocabulary = 512, 8, 1024, 8192
    config = OpenELMConfig(
        width, (heads,) * _LAYERS, (heads // 2,) * _LAYERS, (mlp,) * _LAYERS, d_vocab=vocabulary, n_ctx=_WINDOW
    )
    block = 2 * width * 64 * (heads + heads // 2) + 3 * width * mlp
    shape = ModelShape(width, (block,) * _LAYERS, (64 * heads,) * _LAYERS, vocabulary, 0)
    return _Model(OpenELM(config), shape, (_WINDOWS[device.type], _WINDOW))


def _training(given: _Model, device: torch.device) -> Rate:
    model = given.model.to(device)
    optimizer = adamw(model, lr=1e-4)
    tokens = torch.randint(0, given.shape.d_vocab, given.batch, device=device)

    def step() -> None:
        with torch.autocast(
            device.type, torch.bfloat16, enabled=device.type == "cuda" and has_bfloat16(device)
        ):  # the default
            hidden_ND = model.hidden(tokens).flatten(0, 1)
            loss = linear_cross_entropy(hidden_ND, model.output_weight, model.output_bias, tokens.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    flops = given.shape.training_flops(tokens.numel(), given.batch[1])
    return Rate(d_model=given.shape.d_model, per_s=flops / _seconds(step))


def _draw(rows: StoredRows, device: torch.device) -> None:
    deviations = principal_deviations(rows, np.zeros(rows.d), device)
    gaussian_null(deviations, [len(rows)], queries=_DRAWS, seed=0, device=device)


def _generate(folder: Path) -> None:
    with TemporaryDirectory(dir=folder) as name:
        spec = QuestionFormationSpec(
            steps=1,
            batch=1,
            eval_every=1,
            data=SentenceData(train=_LINES, val=1, test=1, generalisation=1),
            optimisation=Optimisation(peak_lr=1.0),
        )
        prepare_sentences(spec, Path(name), folder)


def _store(folder: Path) -> None:
    path = folder / "stored"
    write_bytes(path, bytes(_STORED_BYTES))
    sha256_file(path)


def _report(folder: Path) -> None:
    """A figure in the three formats, which is most of a report."""
    with TemporaryDirectory(dir=folder) as name:
        figure = Figure(figsize=(10, 5.4), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for shift in range(4):
            axes.stairs(np.hanning(64) + shift, np.arange(65), label=f"{shift}")
        axes.legend()
        save_figure(figure, Path(name) / "figure")
