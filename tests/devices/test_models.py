"""Training and extraction on a pretend GPU: the same numbers as on a CPU, and no wait within a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.contracts.sites import FINAL_NORM, Site
from tests.devices.pretend import DEVICE, PretendGpu
from workers.activations.extraction import extract
from workers.models.openelm import OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.optimizer import adamw

VOCABULARY = 203  # no multiple of anything


def model() -> OpenELM:
    torch.manual_seed(0)
    return OpenELM(OpenELMConfig(64, (1, 1), (1, 1), (64, 64), d_vocab=VOCABULARY, n_ctx=16)).eval()  # no dropout


def loss_of(decoder: OpenELM, tokens: torch.Tensor) -> torch.Tensor:
    hidden_ND = decoder.hidden(tokens).flatten(0, 1)
    return linear_cross_entropy(hidden_ND, decoder.output_weight, decoder.output_bias, tokens.flatten())


def train(decoder: OpenELM, loss: torch.Tensor) -> list[torch.Tensor]:
    optimizer = adamw(decoder, lr=1e-2)
    loss.backward()
    gradients = [parameter.grad.clone() for parameter in decoder.parameters() if parameter.grad is not None]
    optimizer.step()
    return gradients


def test_a_step_is_that_of_the_cpu_and_its_loss_waits_for_nothing():
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, (4, 16)))
    here, decoder = model(), model()
    expected = loss_of(here, tokens)
    gradients = train(here, expected)
    with PretendGpu() as gpu:
        decoder = decoder.to(DEVICE)
        there = tokens.to(DEVICE)
        gpu.reset()
        loss = loss_of(decoder, there)
        assert decoder.device == loss.device == DEVICE
        assert gpu.waits.total() == 0
        assert gpu.uploaded == 0
        found = train(decoder, loss)  # autograd hands plain tensors to backward passes, which are not counted
        assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        for a, b in zip(found, gradients, strict=True):
            torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-6)


def test_extracted_vectors_are_those_of_the_cpu():
    chance = np.random.default_rng(0)
    sequences = [chance.integers(0, VOCABULARY, length) for length in (3, 16, 7)]
    site = Site(2, FINAL_NORM)
    decoder = model()
    expected = extract(decoder, sequences, [site], "last", 64).vectors[site]
    with PretendGpu() as gpu:
        found = extract(decoder.to(DEVICE), sequences, [site], "last", 64).vectors[site]
        assert gpu.downloaded == found.nbytes
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler reads it
def test_compiled_blocks_survive_evaluation_and_other_shapes():
    torch._dynamo.reset()
    compiled: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        compiled.append(1)
        return graph.forward

    torch.manual_seed(0)
    decoder = OpenELM(
        OpenELMConfig(64, (1,) * 9, (1,) * 9, tuple(64 * layer for layer in range(1, 10)), d_vocab=VOCABULARY, n_ctx=16)
    )
    decoder.compile_blocks(backend)
    tokens = torch.randint(0, VOCABULARY, (2, 16))
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        decoder.train()
        decoder.hidden(tokens)
        decoder.eval()
        with torch.inference_mode():
            decoder.hidden(tokens[:, :9])
    assert len(compiled) >= 18
