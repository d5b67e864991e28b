"""The arithmetic of a forward pass and of a training step, against torch's own count of what the models do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2Model

from service.contracts.extraction import ExtractionSpec
from service.contracts.sites import Site, parse_site
from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec
from service.estimates.shapes import ModelShape, SampleShape, depth_of, gpt2_shape, sample_shape, training_shape
from service.estimates.work import extraction_work
from service.settings import Settings
from service.theory.transformer_size import GPT2, Gpt2Config
from workers.activations.extraction import extract
from workers.corpora.documents import Document
from workers.corpora.sampling import SamplingRule, draw_sample
from workers.models import gpt2
from workers.models.interface import OutputMap
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig
from workers.models.trainable import TrainableModel

LAYERS, WIDTH, CONTEXT, BATCH, WORDS = 3, 64, 32, 4, 100
SPEC: dict[str, Any] = {"model": "m", "corpus": "c", "chunk_tokens": 16}


def counted(act: Any) -> float:
    """FLOP of matrix products with weights; torch's counter leaves a CPU's attention out."""
    with FlopCounterMode(display=False) as counter:
        act()
    return float(counter.get_total_flops())


def attention_flops(shape: ModelShape) -> float:
    """Of causal attention: queries with keys, and weights with values."""
    return 2 * BATCH * CONTEXT * CONTEXT * sum(shape.attention)


@pytest.mark.parametrize("site", ["blocks.0.hook_resid_post", "blocks.1.hook_mlp_out", "final_norm_out"])
def test_a_forward_pass_of_gpt2_up_to_a_site(site: str):
    config = GPT2Config(n_layer=LAYERS, n_embd=WIDTH, n_head=4, n_positions=CONTEXT, vocab_size=WORDS)
    model, tokens = gpt2.GPT2(GPT2Model(config)), torch.zeros(BATCH, CONTEXT, dtype=torch.int64)
    shape = gpt2_shape(Gpt2Config(LAYERS, WIDTH, d_vocab=WORDS))
    depth = depth_of([site], LAYERS)
    found = counted(lambda: model.read(tokens, [parse_site(site, LAYERS)]))
    attention = attention_flops(shape) * depth / LAYERS
    assert shape.forward_flops(BATCH * CONTEXT, CONTEXT, depth) - attention == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("position", ["last", 3])
def test_a_loss_takes_every_block_and_the_output_map(position: str | int):
    """Of a site in the first block: the work of the whole pass, and of the logits of all tokens but the first."""
    config = GPT2Config(n_layer=LAYERS, n_embd=WIDTH, n_head=4, n_positions=CONTEXT, vocab_size=WORDS)
    plain, tokens = GPT2Model(config), [np.arange(CONTEXT)] * BATCH
    model = gpt2.GPT2(plain, OutputMap(plain.wte.weight))
    shape, settings = gpt2_shape(Gpt2Config(LAYERS, WIDTH, d_vocab=WORDS)), Settings()
    site = "blocks.0.hook_resid_post"
    spec = ExtractionSpec.model_validate(
        SPEC | {"sites": [site], "chunk_tokens": CONTEXT, "position": position, "loss": True}
    )
    found = counted(
        lambda: extract(model, tokens, [parse_site(site, LAYERS)], spec.position, BATCH * CONTEXT, loss=True)
    )
    sample = SampleShape(BATCH, BATCH, 0.0, 0.0, [])
    (work,) = (work for work in extraction_work(spec, sample, shape, settings) if work.stage == "extract")
    without = spec.model_copy(update={"loss": False})
    (less,) = (work for work in extraction_work(without, sample, shape, settings) if work.stage == "extract")
    assert work.amounts["forward"] - attention_flops(shape) == pytest.approx(found, rel=1e-9)
    assert less.amounts["forward"] < work.amounts["forward"] / 2
    assert less.memory_bytes < work.memory_bytes


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (
            SentenceDecoder(
                SentenceDecoderConfig(n_layers=LAYERS, d_model=WIDTH, n_heads=4, d_mlp=96, d_vocab=WORDS, dropout=0.0)
            ),
            QuestionFormationSpec.model_validate(
                read_spec("training", {"preset": "smoke/f2"}).model_dump()
                | {"model": {"n_layers": LAYERS, "d_model": WIDTH, "n_heads": 4, "d_mlp": 96}}
            ),
        ),
        (
            OpenELM(OpenELMConfig(WIDTH, (2, 4), (1, 2), (96, 128), d_head=16, d_vocab=WORDS, n_ctx=CONTEXT)),
            OpenELMSpec.model_validate(
                read_spec("training", {"preset": "smoke/f3"}).model_dump()
                | {
                    "model": {
                        "d_model": WIDTH, "query_heads": [2, 4], "kv_heads": [1, 2], "d_mlp": [96, 128],
                        "d_head": 16, "n_ctx": CONTEXT,
                    }
                }
            ),
        ),
    ],
)  # fmt: skip
def test_a_training_step(model: TrainableModel, spec: QuestionFormationSpec | OpenELMSpec):
    shape = training_shape(spec, WORDS)
    tokens = torch.zeros(BATCH, CONTEXT, dtype=torch.int64)
    model.eval()

    def step() -> None:
        logits = model.hidden(tokens) @ model.output_weight.T
        logits.sum().backward()

    found = counted(step)
    assert shape.training_flops(BATCH * CONTEXT, CONTEXT) - 3 * attention_flops(shape) == pytest.approx(found, rel=1e-9)
    assert shape.parameters == pytest.approx(sum(p.numel() for p in model.parameters()), rel=0.01)


def test_the_released_models_have_their_number_of_parameters():
    assert gpt2_shape(GPT2["gpt2"]).parameters == 124_439_808
    assert gpt2_shape(GPT2["gpt2-medium"]).parameters == 354_823_168


@given(layer=st.integers(0, 11), hook=st.sampled_from(["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]))
def test_a_site_needs_the_blocks_before_it_and_its_own(layer: int, hook: Any):
    needed = layer if hook == "resid_pre" else layer + 1
    assert depth_of([str(Site(layer, hook)), "blocks.0.hook_resid_pre"], 12) == needed
    assert depth_of([str(Site(layer, hook)), "final_norm_out"], 12) == 12


def test_a_corpus_gives_no_more_than_it_has():
    few = sample_shape(ExtractionSpec(**SPEC, chunks=1000), documents=10, text_bytes=10**6)
    assert (few.chunks, few.rows) == (10, 10)
    cut = sample_shape(ExtractionSpec(**SPEC, chunks=1000, chunks_per_document="all"), documents=2, text_bytes=6400)
    assert (cut.chunks, cut.text_bytes) == (100, 6400)
    every = sample_shape(ExtractionSpec(**SPEC, chunks=50, position="all"), documents=10**6, text_bytes=10**10)
    assert every.rows == 50 * 16
    assert every.text_bytes < 10**10 / 1000  # of a million documents, those that may still enter are tokenised
    unknown = sample_shape(ExtractionSpec(**SPEC, chunks=50), documents=None, text_bytes=None)
    assert unknown.chunks == 50
    assert "not counted" in unknown.assumed[0]


@dataclass(frozen=True)
class Quarters:
    """Tokens of four characters."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def quarters(texts: list[str]) -> list[Quarters]:
    starts = [range(0, len(text), 4) for text in texts]
    return [Quarters(list(found), [(start, start + 4) for start in found]) for found in starts]


@pytest.mark.parametrize(
    ("per_document", "chunks"),
    [
        (1, 100),
        (2, 300),
        ("all", 100),
        pytest.param("all", 2_000, marks=pytest.mark.long),
        pytest.param(1, 5_000, marks=pytest.mark.long),
    ],
)
def test_as_many_documents_are_tokenised_as_the_sampler_does(per_document: Any, chunks: int):
    count, length = 4_000, 640
    spec = ExtractionSpec(**SPEC, chunks=chunks, chunks_per_document=per_document)
    documents = (Document(f"d{number}", "a" * length) for number in range(count))
    rule = SamplingRule(spec.chunk_tokens, chunks, None if per_document == "all" else per_document, 0)
    seen = draw_sample(documents, quarters, rule)
    expected = sample_shape(spec, count, count * length)
    assert expected.chunks == len(seen.chunks)
    assert expected.text_bytes / length == pytest.approx(seen.documents_tokenized, rel=0.25)
