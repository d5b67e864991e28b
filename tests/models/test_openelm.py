"""OpenELM: its size, its forward pass against one written out head by head, zero padding, sites, and optimisation."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from service.contracts.sites import parse_site
from service.errors import InvalidInput
from tests.models.openelm_configs import PAPER, SMALL, TINY, trainable
from tests.models.openelm_scaling import scaled_sizes
from workers.models.openelm import Block, OpenELM
from workers.models.openelm_config import OpenELMConfig
from workers.models.rms_norm import RMSNorm
from workers.models.rotary import Rotary
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.optimizer import adamw, parameter_groups

HOOKS = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")


@pytest.fixture(scope="module")
def model() -> OpenELM:
    return made(TINY).double()


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, TINY.d_vocab, (3, 20), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "transformer", "total"),
    [
        ("m1", 39_947_866, 87_893_044),
        ("m2", 60_257_472, 121_369_984),
        ("m2-heads-b", 60_257_472, 121_369_984),
        ("m2-printed", 60_264_704, 124_593_664),
        ("m3", 80_204_704, 152_574_784),
        ("m1-padded", 39_947_866, 87_893_044),
    ],
)
def test_the_papers_models_have_the_papers_parameters(name: str, transformer: int, total: int):
    with torch.device("meta"):
        model = OpenELM(PAPER[name])
    assert model.parameter_counts() == {"total": total, "without_embeddings": transformer}
    if name != "m1-padded":
        assert sum(parameter.numel() for parameter in model.parameters()) == total
    else:
        assert model.output_weight.shape == (50_257, 960)


def test_the_published_270m_has_its_parameters():
    with torch.device("meta"):
        model = OpenELM(trainable(scaled_sizes(1280, 16)))
    assert sum(parameter.numel() for parameter in model.parameters()) == 271_527_168


@pytest.mark.parametrize("config", [*PAPER.values(), SMALL, TINY])
def test_a_configuration_survives_json(config: OpenELMConfig):
    assert OpenELMConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    "change",
    [{"kv_heads": (1, 3)}, {"kv_heads": (0, 2)}, {"d_mlp": (0, 8)}, {"d_head": 7}, {"n_ctx": 0}, {"width_multiple": 0},
     {"attention_dropout": 1.0}, {"embedding_dropout": -0.1}, {"query_heads": (2,)},
     {"initialisation": "zero"}],
)  # fmt: skip
def test_sizes_that_make_no_model_are_refused(change: dict):
    with pytest.raises(InvalidInput):
        replace(TINY, **change)


def test_the_forward_pass_equals_one_written_out_head_by_head(model: OpenELM, tokens):
    # The table of angles is float32; everything else agrees up to rounding in float64.
    assert (model.logits(tokens) - written_out(model, tokens)).abs().max() < 1e-6


def test_logits_are_the_tied_output_map_of_the_hidden_vectors(model: OpenELM, tokens):
    assert model.output_weight is model.embedding.weight
    assert model.output_bias is None
    torch.testing.assert_close(model(tokens), model.hidden(tokens) @ model.embedding.weight.T)


def test_attention_is_causal(model: OpenELM, tokens):
    longer = torch.cat([tokens, tokens], dim=1)
    torch.testing.assert_close(model.hidden(longer)[:, :20], model.hidden(tokens), rtol=1e-12, atol=1e-12)


def test_a_norm_divides_by_the_real_width_in_float32_and_applies_its_weight_last():
    norm = RMSNorm(6, 8)
    x = torch.zeros(5, 8)
    x[:, :6] = torch.randn(5, 6) * 3
    expected = x / (x[:, :6].square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(x), expected)
    norm = RMSNorm(6).bfloat16()
    nn.init.uniform_(norm.weight)
    narrow = x[:, :6].bfloat16()
    wide = narrow.float()
    cast = (wide * (wide.square().mean(1, keepdim=True) + 1e-6).rsqrt()).bfloat16()
    assert torch.equal(norm(narrow), cast * norm.weight)


def test_rotary_turns_pairs_of_halves_like_complex_numbers():
    x = torch.randn(2, 9, 3, 8, dtype=torch.float64)
    angles = torch.arange(9)[:, None] * 10_000.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angles), angles)[:, None]
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(Rotary(8, 9)(x), expected, rtol=1e-6, atol=1e-6)
    assert Rotary(8, 9)(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("rule", ["corenet", "hugging_face"])
def test_initial_weights_have_the_rules_deviations(rule):
    config = OpenELMConfig(96, (4, 4), (2, 2), (192, 256), d_head=24, d_vocab=500, initialisation=rule)
    model = made(config)
    inner, writing = (96**-0.5, (2 * 2 * 96) ** -0.5) if rule == "corenet" else (0.02, 0.02)
    assert model.embedding.weight.std().item() == pytest.approx(inner, rel=0.03)
    for block in model.blocks:
        assert isinstance(block, Block)
        for layer, expected in ((block.attn.qkv_proj, inner), (block.ffn.proj_1, inner), (block.attn.out_proj, writing),
                                (block.ffn.proj_2, writing)):  # fmt: skip
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
            assert abs(layer.weight.mean().item()) < 0.1 * expected


PADDED = {
    "narrow": OpenELMConfig(30, (2, 4), (1, 2), (24, 40), d_head=8, d_vocab=61, n_ctx=16, width_multiple=16),
    "the paper's width": OpenELMConfig(954, (4,), (2,), (256,), d_vocab=61, n_ctx=16, width_multiple=64),
}


@pytest.mark.parametrize("name", PADDED)
def test_zero_padding_changes_nothing_and_stays_zero(name: str):
    config = replace(PADDED[name], attention_dropout=0.0, embedding_dropout=0.0)
    padded, exact = made(config).double(), made(replace(config, width_multiple=1)).double()
    batches = torch.randint(0, 61, (4, 2, 17), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        padded.logits(batches[0][:, :-1]), exact.logits(batches[0][:, :-1]), rtol=1e-9, atol=1e-12
    )
    optimizers = [adamw(model, lr=1e-2, weight_decay=0.5) for model in (padded, exact)]
    for batch in batches:
        losses = [step(model, optimizer, batch) for model, optimizer in zip((padded, exact), optimizers, strict=True)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
        for found, true in zip(padded.parameters(), exact.parameters(), strict=True):
            real = tuple(slice(0, size) for size in true.shape)
            for whole in (found.detach(), found.grad):
                assert whole is not None
                outside = whole.clone()
                outside[real] = 0
                assert outside.eq(0).all()


def test_padded_vectors_are_read_without_their_zeros():
    model = made(PADDED["narrow"])
    sites = [parse_site(name, 2) for name in ("blocks.0.hook_resid_pre", "final_norm_out")]
    found = model.read(torch.arange(6)[None], sites)
    assert {tuple(vectors.shape) for vectors in found.values()} == {(1, 6, 30)}
    assert model.hidden(torch.arange(6)[None]).shape == (1, 6, 32)


def test_every_site_equals_the_tensors_of_the_modules(model: OpenELM, tokens):
    seen = hooked(model, tokens)
    sites = {name: parse_site(name, 2) for name in seen}
    assert len(sites) == 2 * len(HOOKS) + 1
    together = model.read(tokens, list(sites.values()))
    for name, site in sites.items():
        assert torch.equal(together[site], seen[name])
        assert torch.equal(model.read(tokens, [site])[site], seen[name])


def test_reading_switches_dropout_off_and_training_back_on(tokens):
    model = made(replace(TINY, embedding_dropout=0.5, attention_dropout=0.5))
    site = parse_site("final_norm_out", 2)
    assert model.training
    first, again = (model.read(tokens, [site])[site] for _ in range(2))
    assert torch.equal(first, again)
    assert model.training
    assert first.is_inference()
    assert not torch.equal(model.hidden(tokens), model.hidden(tokens))


@pytest.mark.parametrize("option", ["embedding_dropout", "attention_dropout"])
def test_each_dropout_acts_in_training_only(option: str, tokens):
    model = made(replace(TINY, **{option: 0.3}))
    assert not torch.equal(model.hidden(tokens), model.hidden(tokens))
    model.eval()
    assert torch.equal(model.hidden(tokens), model.hidden(tokens))


@pytest.mark.parametrize(
    ("name", "attentions", "widths"),
    [("blocks.0.hook_resid_mid", 1, 0), ("blocks.0.hook_resid_post", 1, 1), ("blocks.1.hook_attn_out", 2, 1)],
)
def test_reading_stops_after_the_last_part_needed(model: OpenELM, tokens, name: str, attentions: int, widths: int):
    ran: list[str] = []
    handles = [
        part.register_forward_hook(lambda *_, kind=kind: ran.append(kind))
        for block in model.blocks if isinstance(block, Block)
        for kind, part in (("attention", block.attn), ("ffn", block.ffn))
    ]  # fmt: skip
    model.read(tokens, [parse_site(name, 2)])
    for handle in handles:
        handle.remove()
    assert (ran.count("attention"), ran.count("ffn")) == (attentions, widths)


def test_autocast_computes_the_same_up_to_its_rounding(tokens):
    model = made(TINY)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = model.hidden(tokens).float()
    exact = model.hidden(tokens)
    assert 0 < (narrow - exact).norm() < 0.02 * exact.norm()


def test_more_tokens_than_the_context_are_refused(model: OpenELM):
    with pytest.raises(InvalidInput, match="at most 64 tokens, not 65"):
        model.hidden(torch.zeros(1, 65, dtype=torch.int64))


def test_weight_decay_is_for_matrices_alone(model: OpenELM):
    decayed, others = parameter_groups(model, 0.1)
    assert {parameter.dim() for parameter in decayed["params"]} == {2}
    assert {parameter.dim() for parameter in others["params"]} == {1}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert any(parameter is model.embedding.weight for parameter in decayed["params"])


def test_training_learns_reproducibly_and_equals_plain_pytorch():
    def run(plain: bool) -> tuple[list[float], list[torch.Tensor]]:
        model = made(TINY)
        groups = parameter_groups(model, 0.1)
        optimizer = (
            torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), foreach=False) if plain else adamw(model, lr=1e-2)
        )
        batch = torch.randint(0, 300, (4, 33), generator=torch.Generator().manual_seed(2))
        losses = [step(model, optimizer, batch, plain=plain) for _ in range(12)]
        return losses, [parameter.detach() for parameter in model.parameters()]

    (losses, weights), (again, same), (expected, _) = run(False), run(False), run(True)
    assert losses == again
    assert all(torch.equal(a, b) for a, b in zip(weights, same, strict=True))
    assert losses[0] == pytest.approx(math.log(300), abs=0.1)
    assert losses[-1] < 0.6 * losses[0]
    assert losses == pytest.approx(expected, rel=1e-3)
    assert losses[:3] == pytest.approx(expected[:3], rel=1e-5)


def made(config: OpenELMConfig) -> OpenELM:
    torch.manual_seed(0)
    return OpenELM(config)


def step(model: OpenELM, optimizer: torch.optim.Optimizer, batch: torch.Tensor, *, plain: bool = False) -> float:
    inputs, targets = batch[:, :-1], batch[:, 1:].flatten()
    if plain:
        loss = functional.cross_entropy(model.logits(inputs).flatten(0, 1), targets)
    else:
        loss = linear_cross_entropy(model.hidden(inputs).flatten(0, 1), model.output_weight, None, targets, chunk=10)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


def hooked(model: OpenELM, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """All sites, by hooks on the modules."""
    found: dict[str, torch.Tensor] = {}
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def keep(module: nn.Module, name: str, *, before: bool) -> None:
        def seen(_module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor | None = None) -> None:
            found[name] = inputs[0] if output is None else output

        handles.append(module.register_forward_pre_hook(seen) if before else module.register_forward_hook(seen))

    for i, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        keep(block.attn_norm, f"blocks.{i}.hook_resid_pre", before=True)
        keep(block.attn, f"blocks.{i}.hook_attn_out", before=False)
        keep(block.ffn_norm, f"blocks.{i}.hook_resid_mid", before=True)
        keep(block.ffn, f"blocks.{i}.hook_mlp_out", before=False)
        after = model.blocks[i + 1].attn_norm if i + 1 < len(model.blocks) else model.final_norm
        assert isinstance(after, nn.Module)
        keep(after, f"blocks.{i}.hook_resid_post", before=True)
    keep(model.final_norm, "final_norm_out", before=False)
    with torch.inference_mode():
        model.hidden(tokens)
    for handle in handles:
        handle.remove()
    # A hook before `attn_norm` of the next block has the same vectors as its `resid_pre`; both names must be there.
    for i in range(1, len(model.blocks)):
        found[f"blocks.{i}.hook_resid_pre"] = found[f"blocks.{i - 1}.hook_resid_post"]
    return found


def written_out(model: OpenELM, tokens: torch.Tensor) -> torch.Tensor:
    """Logits in float64 numpy, one sequence, head and position at a time."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return torch.from_numpy(np.stack([_sequence(model.config, weights, row) for row in tokens.numpy()]))


def _sequence(config: OpenELMConfig, weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    x = weights["embedding.weight"][tokens]
    for i in range(config.n_layers):
        here = {
            name.removeprefix(f"blocks.{i}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{i}.")
        }
        x = x + _attention(config, i, here, _rms(x) * here["attn_norm.weight"])
        both = (_rms(x) * here["ffn_norm.weight"]) @ here["ffn.proj_1.weight"].T
        gate, value = both[:, : config.d_mlp[i]], both[:, config.d_mlp[i] :]
        x = x + (gate / (1 + np.exp(-gate)) * value) @ here["ffn.proj_2.weight"].T
    return _rms(x) * weights["final_norm.weight"] @ weights["embedding.weight"].T


def _attention(config: OpenELMConfig, i: int, here: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    heads, pairs, K = config.query_heads[i], config.kv_heads[i], config.d_head
    qkv = (x @ here["attn.qkv_proj.weight"].T).reshape(len(x), heads + 2 * pairs, K)
    mixed = np.zeros((len(x), heads, K))
    for head in range(heads):
        pair = head // (heads // pairs)
        q = _turn(_rms(qkv[:, head]) * here["attn.q_norm_weight"])
        k = _turn(_rms(qkv[:, heads + pair]) * here["attn.k_norm_weight"])
        for t in range(len(x)):
            scores = np.exp(k[: t + 1] @ q[t] / math.sqrt(K))
            mixed[t, head] = scores @ qkv[: t + 1, heads + pairs + pair] / scores.sum()
    return mixed.reshape(len(x), heads * K) @ here["attn.out_proj.weight"].T


def _rms(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def _turn(x: np.ndarray) -> np.ndarray:
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] / 10_000.0 ** (np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], axis=1)
