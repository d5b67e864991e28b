"""Batches, padding, memory, and parity with one sequence at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.gpt2.modeling_gpt2 import GPT2Model

from service.contracts.sites import Site, parse_site
from service.errors import OutOfMemory
from tests.collection import earlier_objects_frozen
from workers.activations.batches import group_batches, pad_right
from workers.activations.extraction import extract
from workers.activations.parity import deviations, plain_deviations
from workers.devices.backoff import map_halving
from workers.models.gpt2 import GPT2
from workers.models.interface import ModelSizes, take_positions

Array = np.ndarray


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> GPT2:
    return GPT2(GPT2Model.from_pretrained(tiny_model))


def sequences(lengths: list[int]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 512, length) for length in lengths]


HOOKS = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
ALL_SITES = [f"blocks.{block}.hook_{hook}" for block in range(3) for hook in HOOKS] + ["final_norm_out"]
SITES = [parse_site("blocks.-1.hook_resid_post", 3), parse_site("final_norm_out", 3)]


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 200))
def test_batches_hold_every_sequence_once_within_the_budget(lengths: list[int], budget: int):
    batches = group_batches(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_equal_lengths_keep_their_order():
    assert group_batches([8] * 5, 16) == [[0, 1], [2, 3], [4]]


def test_padding_is_on_the_right():
    assert pad_right([np.asarray([5, 6]), np.asarray([7])]).tolist() == [[5, 6], [7, 0]]


@pytest.mark.parametrize("position", ["last", "all"])
@pytest.mark.parametrize("budget", [1, 64, 4096])
def test_any_batching_gives_what_each_sequence_gives_alone(model: GPT2, position: str, budget: int):
    texts = sequences([12, 30, 5, 30, 17])
    found = extract(model, texts, SITES, position, budget).vectors
    alone = [extract(model, [text], SITES, position, 1).vectors for text in texts]
    for site in SITES:
        expected = np.concatenate([part[site] for part in alone])
        assert found[site].shape == expected.shape
        np.testing.assert_allclose(found[site], expected, rtol=2e-5, atol=2e-5)


def test_the_same_batches_give_the_same_bits(model: GPT2):
    texts = sequences([16] * 10)
    first, second = (extract(model, texts, SITES, "last", 64).vectors[SITES[0]] for _ in range(2))
    assert (first == second).all()


def test_a_position_equals_that_row_of_all_positions(model: GPT2):
    texts = sequences([20, 20, 20])
    every = extract(model, texts, SITES, "all", 4096).vectors[SITES[0]].reshape(3, 20, -1)
    seventh = extract(model, texts, SITES, 7, 4096).vectors[SITES[0]]
    np.testing.assert_allclose(seventh, every[:, 7], rtol=2e-5, atol=2e-5)


def test_progress_counts_sequences(model: GPT2):
    seen: list[int] = []
    extract(model, sequences([8] * 10), SITES[:1], "last", 32, seen.append)
    assert seen == [4, 8, 10]


class FakeGpu:
    """A device that holds `room` tokens at once and raises the error of CUDA for more."""

    def __init__(self, room: int) -> None:
        self.sizes = ModelSizes(1, 64, 4, 1, 512)
        self.room, self.batches = room, []

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def output_map(self) -> None: ...

    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        if tokens.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(tokens))
        return {site: take_positions(tokens[..., None].float().expand(*tokens.shape, 4), at) for site in sites}


@pytest.fixture
def quick_collection() -> Iterator[None]:
    with earlier_objects_frozen():
        yield


@pytest.mark.usefixtures("quick_collection")
def test_out_of_memory_halves_the_batch():
    gpu, roomy = FakeGpu(room=20), FakeGpu(room=10**6)
    texts = sequences([8] * 16)
    found = extract(gpu, texts, SITES[:1], "last", 128)
    assert set(gpu.batches) == {2}
    assert found.halvings == 7
    assert (found.vectors[SITES[0]] == extract(roomy, texts, SITES[:1], "last", 128).vectors[SITES[0]]).all()


def test_out_of_memory_on_a_single_sequence_is_a_typed_error():
    with pytest.raises(OutOfMemory, match="batch of one"):
        extract(FakeGpu(room=4), sequences([8]), SITES[:1], "last", 8)


@pytest.mark.usefixtures("quick_collection")
def test_a_failed_batch_is_not_kept_alive():
    """A retry inside the except block would keep the tensors of the failed batch alive through the traceback."""
    kept: list[weakref.ref[torch.Tensor]] = []

    def run(items):
        if len(items) > 1:
            big = torch.zeros(1000)
            kept.append(weakref.ref(big))
            raise torch.OutOfMemoryError("no room")
        gc.collect()
        assert all(reference() is None for reference in kept)
        return list(items)

    assert map_halving(run, [1, 2, 3]) == [[1], [2], [3]]


def test_parity_is_zero_for_the_same_forward_and_shows_lower_precision(model: GPT2, tiny_model: Path):
    texts = sequences([24] * 3)
    site = SITES[1]
    same = extract(model, texts, [site], "last", 24).vectors
    assert deviations(model, texts, "last", same)[site].max_deviation == 0.0
    coarse = GPT2(GPT2Model.from_pretrained(tiny_model, dtype=torch.bfloat16))
    stored = extract(coarse, texts, [site], "last", 4096).vectors
    assert stored[site].dtype == np.float32
    found = deviations(model, texts, "last", stored)[site]
    assert 1e-4 < found.max_relative_deviation < 0.2
    gap = stored[site].astype(np.float64) - same[site]
    assert found.max_deviation == pytest.approx(np.linalg.norm(gap, axis=1).max(), rel=1e-12)


@pytest.mark.parametrize("position", ["last", "all", 5])
def test_batches_of_every_length_equal_the_forward_of_hugging_face(model: GPT2, position: str | int):
    texts, every = sequences([24, 7, 24, 60]), [parse_site(name, 3) for name in ALL_SITES]
    stored = extract(model, texts, every, position, 64).vectors
    found = plain_deviations(model, texts, position, stored)
    assert found is not None
    assert max(part.max_relative_deviation for part in found.values()) < 1e-5
    assert plain_deviations(FakeGpu(room=64), texts, position, stored) is None


def test_a_wrong_position_shows_against_hugging_face(model: GPT2):
    texts, site = sequences([24] * 3), SITES[1]
    stored = extract(model, texts, [site], 22, 64).vectors
    found = plain_deviations(model, texts, "last", stored)
    assert found is not None
    assert found[site].max_relative_deviation > 0.1
    block: Any = model.model.h[0]
    assert isinstance(block.mlp.act, torch.nn.GELU)  # our activation is back in its place


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu(model: GPT2, tiny_model: Path):
    gpu = GPT2(GPT2Model.from_pretrained(tiny_model, device_map="cuda"))
    texts = sequences([24] * 8)
    a, b = (extract(m, texts, SITES, "last", 4096).vectors for m in (model, gpu))
    for site in SITES:
        np.testing.assert_allclose(a[site], b[site], rtol=1e-4, atol=1e-4)
