"""The question-formation decoder against PyTorch's own post-norm layers, its sizes, sites and start."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch
from torch import nn

from service.contracts.sites import Site, parse_site
from service.errors import InvalidInput
from workers.models.sentence_decoder import Block, SentenceDecoder, SentenceDecoderConfig
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.optimizer import adamw

SMALL = SentenceDecoderConfig(n_layers=2, d_model=24, n_heads=3, d_mlp=40, d_vocab=31, n_ctx=50)
SITES = [
    f"blocks.{i}.hook_{h}" for i in (0, 1) for h in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
]


@pytest.fixture(scope="module")
def model() -> SentenceDecoder:
    torch.manual_seed(0)
    return SentenceDecoder(SMALL).double().eval()


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, 31, (3, 14), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("layers", "total", "blocks"), [(6, 18_974_791, 18_902_016), (10, 31_576_135, 31_503_360)])
def test_the_papers_models_have_the_parameters_of_the_original_code(layers: int, total: int, blocks: int):
    with torch.device("meta"):
        model = SentenceDecoder(SentenceDecoderConfig(n_layers=layers))
    assert model.parameter_counts() == {"total": total, "without_embeddings": blocks}


def test_the_defaults_survive_json():
    config = SentenceDecoderConfig()
    assert SentenceDecoderConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert (config.n_heads, config.d_mlp, config.n_ctx) == (8, 2048, 5000)


@pytest.mark.parametrize("change", [{"n_heads": 5}, {"d_model": 27, "n_heads": 3}, {"dropout": 1.0}, {"n_layers": 0}])
def test_sizes_that_make_no_model_are_refused(change: dict):
    with pytest.raises(InvalidInput):
        SentenceDecoderConfig(**(asdict(SMALL) | change))


def test_every_layer_equals_pytorchs_post_norm_layer(model: SentenceDecoder, tokens):
    mask = nn.Transformer.generate_square_subsequent_mask(14, dtype=torch.float64)
    x = model.read(tokens, [Site(0, "resid_pre")])[Site(0, "resid_pre")].clone()
    for i, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        x = torch_layer(block)(x, src_mask=mask, is_causal=True).detach()
        site = Site(i, "resid_post")
        torch.testing.assert_close(model.read(tokens, [site])[site], x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.hidden(tokens), x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.logits(tokens), x @ model.output.weight.T + model.output.bias)


def test_the_first_vectors_are_scaled_embeddings_and_sines(model: SentenceDecoder, tokens):
    found = model.read(tokens, [Site(0, "resid_pre")])[Site(0, "resid_pre")]
    scaled = math.sqrt(24) * model.embedding.weight.detach()[tokens]
    for t, j in ((0, 0), (1, 0), (13, 0), (5, 3), (13, 11)):
        angle = t / 10_000 ** (2 * j / 24)
        torch.testing.assert_close(found[:, t, 2 * j], scaled[:, t, 2 * j] + math.sin(angle), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            found[:, t, 2 * j + 1], scaled[:, t, 2 * j + 1] + math.cos(angle), rtol=1e-6, atol=1e-6
        )


def test_sites_are_the_parts_and_the_outputs_of_the_norms(model: SentenceDecoder, tokens):
    sites = {name: parse_site(name, 2) for name in [*SITES, "final_norm_out"]}
    found = model.read(tokens, list(sites.values()))
    with torch.inference_mode():
        for i, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            pre, attn, mid, mlp, post = (found[sites[name]] for name in SITES[5 * i : 5 * i + 5])
            torch.testing.assert_close(attn, block.attn(pre))
            torch.testing.assert_close(mid, block.norm1(pre + attn))
            torch.testing.assert_close(mlp, block.ffn(mid))
            torch.testing.assert_close(post, block.norm2(mid + mlp))
    assert torch.equal(found[sites["final_norm_out"]], found[sites["blocks.1.hook_resid_post"]])
    assert torch.equal(found[sites["blocks.1.hook_resid_pre"]], found[sites["blocks.0.hook_resid_post"]])
    for name, site in sites.items():
        assert torch.equal(model.read(tokens, [site])[site], found[site]), name


def test_padding_on_the_right_changes_nothing_before_it(model: SentenceDecoder, tokens):
    padded = torch.cat([tokens, torch.zeros(3, 5, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(model.hidden(padded)[:, :14], model.hidden(tokens), rtol=1e-12, atol=1e-12)


def test_more_tokens_than_positions_are_refused(model: SentenceDecoder):
    with pytest.raises(InvalidInput, match="at most 50 tokens"):
        model.logits(torch.zeros(1, 51, dtype=torch.int64))


def test_weights_start_within_xaviers_bounds():
    torch.manual_seed(1)
    model = SentenceDecoder(SentenceDecoderConfig(n_layers=1, d_model=64, n_heads=4, d_mlp=128, n_ctx=10))
    block = model.blocks[0]
    assert isinstance(block, Block)
    starts = [
        (model.embedding.weight, 71, 64, 1),
        (model.output.weight, 71, 64, 1),
        (block.attn.merge.weight, 64, 64, 1),
    ]
    starts += [(part, 64, 64, 1) for part in block.attn.qkv.weight.chunk(3)]
    starts += [(block.ffn.linear1.weight, 64, 128, math.sqrt(2)), (block.ffn.linear2.weight, 64, 128, 1)]
    for weight, a, b, gain in starts:
        bound = gain * math.sqrt(6 / (a + b))
        assert 0.97 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("part", ["embedding", "attention", "inner", "residual"])
def test_dropout_acts_in_every_place_in_training_only(part: str, tokens):
    torch.manual_seed(2)
    model = SentenceDecoder(SMALL).eval()
    block = model.blocks[0]
    assert isinstance(block, Block)
    assert torch.equal(model.hidden(tokens), model.hidden(tokens))
    {"embedding": model.dropout, "attention": block.attn, "inner": block.ffn.dropout, "residual": block.dropout}[
        part
    ].train()
    assert not torch.equal(model.hidden(tokens), model.hidden(tokens))


def test_it_learns_masked_lines(tokens):
    torch.manual_seed(3)
    model = SentenceDecoder(SMALL)
    optimizer = adamw(model, lr=3e-3, betas=(0.9, 0.999), eps=1e-7, weight_decay=0.0)
    mask = (torch.arange(13) < torch.tensor([[13], [9], [5]])).float().flatten()
    losses = []
    for _ in range(100):
        hidden_ND = model.hidden(tokens[:, :-1]).flatten(0, 1)
        targets = tokens[:, 1:].flatten()
        loss = linear_cross_entropy(hidden_ND, model.output_weight, model.output_bias, targets, weights_N=mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 < math.log(31) - 0.5 < losses[0]


def torch_layer(block: Block) -> nn.TransformerEncoderLayer:
    """The layer of PyTorch with our weights and zero attention biases."""
    layer = nn.TransformerEncoderLayer(24, 3, 40, dropout=0.0, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(block.attn.qkv.weight)
        layer.self_attn.in_proj_bias.zero_()
        layer.self_attn.out_proj.weight.copy_(block.attn.merge.weight)
        layer.self_attn.out_proj.bias.zero_()
    for name in ("linear1", "linear2"):
        getattr(layer, name).load_state_dict(getattr(block.ffn, name).state_dict())
    layer.norm1.load_state_dict(block.norm1.state_dict())
    layer.norm2.load_state_dict(block.norm2.state_dict())
    return layer
