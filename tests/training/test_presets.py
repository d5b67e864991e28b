"""The presets of trainings and sweeps: the paper's sizes and hyperparameters, and no statement untrue of its preset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from service.contracts.jobs import Preset
from service.contracts.specs import read_spec
from service.contracts.sweep_presets import SWEEP_PRESETS
from service.contracts.sweeps import SweepSpec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from service.contracts.training_presets import TRAINING_PRESETS
from service.theory.stopping_table import TABLE_3
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig

HEADS_A, HEADS_B = [6, 6, 6, 6, 8, 8, 8, 10], [6, 6, 6, 8, 8, 8, 10, 10]  # appendix G.1: models 1 and 2, model 3
PAPERS = [preset for preset in TRAINING_PRESETS if preset.id.startswith("paper/")]


def windows(preset_id: str, **changes: Any) -> OpenELMSpec:
    spec = read_spec("training", {"preset": preset_id} | changes)
    assert isinstance(spec, OpenELMSpec)
    return spec


def sentences(preset_id: str) -> QuestionFormationSpec:
    spec = read_spec("training", {"preset": preset_id})
    assert isinstance(spec, QuestionFormationSpec)
    return spec


def parameters(spec: OpenELMSpec | QuestionFormationSpec) -> dict[str, int]:
    with torch.device("meta"):
        if isinstance(spec, OpenELMSpec):
            return OpenELM(OpenELMConfig(**spec.model.model_dump(), d_vocab=50_257)).parameter_counts()
        return SentenceDecoder(SentenceDecoderConfig(**spec.model.model_dump())).parameter_counts()


@pytest.mark.parametrize(("layers", "total"), [(6, 18_974_791), (10, 31_576_135)])
def test_question_formation_is_that_of_murty(layers: int, total: int):
    spec = sentences(f"paper/f2-{layers}l")
    assert parameters(spec)["total"] == total
    assert (spec.model.n_layers, spec.model.d_model, spec.model.n_heads, spec.model.d_mlp) == (layers, 512, 8, 2048)
    assert (spec.batch, spec.steps, spec.eval_every, spec.loss, spec.model.dropout) == (8, 300_000, 3_000, "line", 0.1)
    found = spec.optimisation
    assert (found.peak_lr, found.beta1, found.beta2, found.eps, found.weight_decay) == (1e-4, 0.9, 0.999, 1e-7, 0.0)
    assert (found.warmup_steps, found.schedule, found.decay_steps, found.final_lr_share) == (
        10_000, "linear", 2_000_000, 0.0,
    )  # fmt: skip
    assert (spec.data.lexicon, spec.data.train, spec.data.val) == ("standard", 100_000, 1_000)


@pytest.mark.parametrize(
    ("size", "count", "width", "heads"),
    [
        ("40m", 39_947_866, 954, HEADS_A),
        ("60m", 60_257_472, 1216, HEADS_A),
        ("80m", 80_204_704, 1440, HEADS_B),
    ],
)
def test_the_openelm_models_are_those_of_the_appendix(size: str, count: int, width: int, heads: list[int]):
    spec = windows(f"paper/f3-{size}")
    assert parameters(spec)["without_embeddings"] == count
    assert f"{count / 1e6:.2f}" in {f"{row.parameters / 1e6:.2f}" for row in TABLE_3}
    assert (spec.model.d_model, spec.model.query_heads) == (width, heads)
    assert spec.model.kv_heads == [number // 2 for number in heads]
    assert spec.model.d_head == 64
    assert all(width % 256 == 0 for width in spec.model.d_mlp)
    assert spec.data.tokens in {row.optimal_tokens for row in TABLE_3}


def test_the_printed_width_of_model_2_is_within_reach():
    spec = windows("paper/f3-60m", model={"d_model": 1280, "d_mlp": [1497] * 8})
    assert parameters(spec)["without_embeddings"] == 60_264_704


@pytest.mark.parametrize("size", ["40m", "60m", "80m"])
def test_the_openelm_runs_have_the_hyperparameters_of_the_appendix(size: str):
    spec = windows(f"paper/f3-{size}")
    assert spec.batch * spec.model.n_ctx == 491_520
    assert (spec.micro_batch, spec.model.n_ctx, spec.window_steps) == (12, 1024, 1000)
    assert (spec.model.attention_dropout, spec.model.embedding_dropout) == (0.1, 0.1)
    assert spec.model.initialisation == "hugging_face"  # 0.02
    assert (spec.data.tokenizer, spec.data.validation_share) == ("openai-community/gpt2", 0.05)
    found = spec.optimisation
    assert (found.beta1, found.beta2, found.eps) == (0.9, 0.95, 1e-8)
    assert (found.peak_lr, found.weight_decay, found.clip, found.warmup_steps) == (6e-4, 0.1, 1.0, 2_000)
    assert (found.schedule, found.decay_steps, found.final_lr_share) == ("cosine", 600_000, 0.1)
    assert (spec.steps, spec.eval_every, spec.data.validation_windows) == (7_000, 250, 2_400)


@pytest.mark.parametrize("preset_id", ["paper/table3", "paper/f3-seeds", "paper/f2-seeds"])
def test_the_papers_sweeps_are_of_the_papers_models(preset_id: str):
    spec = read_spec("sweep", {"preset": preset_id})
    assert isinstance(spec, SweepSpec)
    counts = {parameters(cell.spec)["without_embeddings"] for cell in spec.runs()}
    expected = {
        "paper/table3": {39_947_866, 60_257_472, 80_204_704},
        "paper/f3-seeds": {39_947_866},
        "paper/f2-seeds": {18_902_016},
    }
    assert counts == expected[preset_id]
    assert spec.sigma_sq == 0.04


# Words of `stated`, and what they claim of the runs.
CLAIMS: dict[str, Callable[[list[Any]], bool]] = {
    "491,520": lambda runs: all(run.batch * run.model.n_ctx == 491_520 for run in runs),
    "batch size 12": lambda runs: all(run.micro_batch == 12 for run in runs),
    "context 1024": lambda runs: all(run.model.n_ctx == 1024 for run in runs),
    "50,257": lambda runs: all(run.data.tokenizer == "openai-community/gpt2" for run in runs),
    "8 layers": lambda runs: all(len(run.model.d_mlp) == 8 for run in runs),
    "heads of 64": lambda runs: all(run.model.d_head == 64 for run in runs),
    "heads of model 1": lambda runs: all(run.model.query_heads == HEADS_A for run in runs),
    "query and of KV heads": lambda runs: all(run.model.query_heads in (HEADS_A, HEADS_B) for run in runs),
    "dropout 0.1": lambda runs: all(
        run.model.attention_dropout == run.model.embedding_dropout == 0.1 for run in runs
    ),
    "range 0.02": lambda runs: all(run.model.initialisation == "hugging_face" for run in runs),
    "β .9/.95, ε 1e-8": lambda runs: all(
        (run.optimisation.beta1, run.optimisation.beta2, run.optimisation.eps) == (0.9, 0.95, 1e-8) for run in runs
    ),
    "last 5 %": lambda runs: all(run.data.validation_share == 0.05 for run in runs),
    "SPGC": lambda runs: all(run.data.corpus == "spgc" for run in runs),
    "d_emb = 512": lambda runs: all(run.model.d_model == 512 for run in runs),
    "68 words": lambda runs: all(run.data.lexicon == "standard" for run in runs),
    "D = 2M": lambda runs: all(run.data.train == 100_000 for run in runs),
    "settles near 1": lambda runs: all(run.steps >= 3_000 and run.data.train == 100_000 for run in runs),
    "1000 iterations": lambda runs: all(run.window_steps == 1000 for run in runs),
    "three models": lambda runs: len({str(run.model) for run in runs}) == 3,
    "eight sizes": lambda runs: len({run.data.tokens for run in runs}) == 8,
    "five runs": lambda runs: len({run.seed for run in runs}) == 5,
}  # fmt: skip


def runs_of(preset: Preset) -> list[Any]:
    spec = read_spec(preset.kind, {"preset": preset.id})
    return [cell.spec for cell in spec.runs()] if isinstance(spec, SweepSpec) else [spec]


@pytest.mark.parametrize("preset", [*TRAINING_PRESETS, *SWEEP_PRESETS], ids=lambda preset: preset.id)
def test_what_is_stated_is_true_of_the_preset(preset: Preset):
    runs, text = runs_of(preset), "\n".join(preset.stated)
    assert [words for words, holds in CLAIMS.items() if words in text and not holds(runs)] == []


def test_every_claim_is_made_by_a_preset_of_the_paper():
    text = "\n".join(line for preset in (*PAPERS, *SWEEP_PRESETS) for line in preset.stated)
    assert [words for words in CLAIMS if words not in text] == []


@pytest.mark.parametrize("preset", PAPERS, ids=lambda preset: preset.id)
def test_what_the_paper_leaves_open_is_said_to_be_assumed(preset: Preset):
    text = "\n".join(preset.assumed)
    shared = ["warm-up", "weight decay", "clipped at 1", "bfloat16", "evaluation every", "seed 0"]
    if "f2" in preset.id:
        open_here = [
            "β .9/.999, ε 1e-7",
            "8 heads",
            "batch of 8",
            "300,000",
            "tied",
            "Xavier",
            "table",
            "mean over all",
        ]
    else:
        open_here = ["6e-4", "7,000", "feed-forward widths", "tied", "<|endoftext|>", "2,400 windows", "order", "0.02²"]
        assert any("180M words: not bounded here" in line for line in preset.stated)
    assert [words for words in [*shared, *open_here] if words not in text] == []
    if preset.id == "paper/f3-60m":
        assert "width 1216" in text
