"""A training step of a small OpenELM against the same model, loss and optimiser written plainly; and the data alone."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec
from tests.benchmarks.results import keep
from tests.benchmarks.timing import paired
from tests.models.openelm_configs import SMALL
from workers.models.openelm import Attention, Block, OpenELM
from workers.models.rms_norm import RMSNorm
from workers.training.cross_entropy import linear_cross_entropy
from workers.training.optimizer import adamw, parameter_groups
from workers.training.windows import WindowTask

CONTEXT, BATCHES, PAIRS = 256, (4, 8), 7
CHECKED_STEPS = 5
TOKENS, DATA_STEPS = 50_000_000, 500
LR, BETAS, DECAY, CLIP = 6e-4, (0.9, 0.95), 0.1, 1.0
Step = Callable[[], torch.Tensor]


def main() -> None:
    """Width 256, 4 layers, the full vocabulary, float32, the threads torch chooses, dropout off."""
    results: dict[str, object] = {}
    for batch in BATCHES:
        differences = [abs(a.item() / b.item() - 1) for a, b in _losses(batch)]
        assert max(differences) < 1e-5, differences
        ours, peer = _steps(batch)
        step = paired(ours, peer, rounds=PAIRS)
        loss = paired(*_loss_parts(batch), rounds=PAIRS)
        rate, data_rate = batch * CONTEXT / step.ours_s, _data_rate(batch)
        print(f"training, {batch} × {CONTEXT} tokens: {step}; {rate:,.0f} tokens/s, {torch.get_num_threads()} threads")
        print(f"    batches drawn alone: {data_rate:,.0f} tokens/s, {data_rate / rate:,.0f} × the step's")
        print(f"    output map and loss alone: {loss}; relative difference of losses: {max(differences):.1e}")
        results[f"batch {batch}"] = {
            "step": vars(step),
            "loss": vars(loss),
            "tokens_per_s": rate,
            "data_tokens_per_s": data_rate,
            "error": max(differences),
        }
    keep("training", results)


def _data_rate(batch: int) -> float:
    """Tokens per second of the batches of a run, drawn from a file that is mapped, without any training."""
    spec = read_spec(
        "training", {"preset": "smoke/f3", "batch": batch, "micro_batch": None, "model": {"n_ctx": CONTEXT}}
    )
    assert isinstance(spec, OpenELMSpec)
    with TemporaryDirectory() as name:
        write_random_tokens(Path(name), TOKENS, 2**16)
        task = WindowTask(spec, Path(name), torch.device("cpu"))
        began = time.perf_counter()
        for step in range(DATA_STEPS):
            task.micro_batches(step)
        return DATA_STEPS * batch * CONTEXT / (time.perf_counter() - began)


def write_random_tokens(folder: Path, tokens: int, d_vocab: int) -> None:
    """What a run on a corpus would have prepared, of random tokens."""
    generator = np.random.Generator(np.random.PCG64(0))
    (folder / "tokens.bin").write_bytes(generator.integers(0, d_vocab, tokens, dtype=np.uint16).tobytes())
    note = {"d_vocab": d_vocab, "dtype": "uint16", "tokens": tokens}
    (folder / "tokens.json").write_text(json.dumps(note))


def _steps(batch: int, seed: int = 0) -> tuple[Step, Step]:
    """One step of ours and of the peer, of equal weights on the same random tokens."""
    torch.manual_seed(seed)
    model = OpenELM(replace(SMALL, n_ctx=CONTEXT))
    plain = copy.deepcopy(model)
    tokens = torch.randint(0, model.sizes.d_vocab, (batch, CONTEXT + 1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:].flatten()
    ours_adamw = adamw(model, lr=LR, betas=BETAS, weight_decay=DECAY)
    groups = parameter_groups(plain, DECAY)
    peer_adamw = torch.optim.AdamW(groups, lr=LR, betas=BETAS, foreach=False, fused=False)

    def ours() -> torch.Tensor:
        hidden_ND = model.hidden(inputs).flatten(0, 1)
        return _update(model, ours_adamw, linear_cross_entropy(hidden_ND, model.output_weight, None, targets))

    def peer() -> torch.Tensor:
        return _update(plain, peer_adamw, functional.cross_entropy(_plain_logits(plain, inputs).flatten(0, 1), targets))

    return ours, peer


def _losses(batch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Losses of both over some steps: the same up to rounding."""
    ours, peer = _steps(batch)
    return [(ours(), peer()) for _ in range(CHECKED_STEPS)]


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    return loss.detach()


def _loss_parts(batch: int) -> tuple[Step, Step]:
    """The loss and its gradients alone, from vectors that are given."""
    sizes = SMALL
    hidden_ND = torch.randn(batch * CONTEXT, sizes.d_model, requires_grad=True)
    weight_VD = (torch.randn(sizes.d_vocab, sizes.d_model) * 0.02).requires_grad_()
    targets = torch.randint(0, sizes.d_vocab, (len(hidden_ND),))

    def differentiate(loss: torch.Tensor) -> torch.Tensor:
        hidden_ND.grad = weight_VD.grad = None
        loss.backward()
        return loss.detach()

    def peer() -> torch.Tensor:
        return differentiate(functional.cross_entropy(functional.linear(hidden_ND, weight_VD), targets))

    return lambda: differentiate(linear_cross_entropy(hidden_ND, weight_VD, None, targets)), peer


def _plain_logits(model: OpenELM, tokens: torch.Tensor) -> torch.Tensor:
    x_BTD = model.embedding(tokens)
    for block in model.blocks:
        assert isinstance(block, Block)
        x_BTD = x_BTD + _plain_attention(block.attn, _plain_norm(block.attn_norm, x_BTD))
        a, b = block.ffn.proj_1(_plain_norm(block.ffn_norm, x_BTD)).chunk(2, dim=-1)
        x_BTD = x_BTD + block.ffn.proj_2(functional.silu(a) * b)
    return _plain_norm(model.final_norm, x_BTD) @ model.embedding.weight.T


def _plain_norm(norm: RMSNorm, x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * norm.weight


def _plain_attention(attn: Attention, x: torch.Tensor) -> torch.Tensor:
    """Scores, a mask, a softmax and a repeat, as textbooks write them."""
    T, K, group = x.shape[1], attn.d_head, attn.heads // attn.pairs
    heads = attn.qkv_proj(x).unflatten(-1, (-1, K)).transpose(1, 2)
    q, k, v = heads.split([attn.heads, attn.pairs, attn.pairs], dim=1)
    q, k = (_plain_rotary(_plain_rms(x) * weight) for x, weight in ((q, attn.q_norm_weight), (k, attn.k_norm_weight)))
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    hidden_ahead = torch.ones(T, T, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-2, -1) / math.sqrt(K)).masked_fill(hidden_ahead, float("-inf"))
    return attn.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def _plain_rms(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def _plain_rotary(x: torch.Tensor) -> torch.Tensor:
    T, K = x.shape[-2:]
    angles = torch.arange(T)[:, None] * 10_000.0 ** (-torch.arange(0, K, 2) / K)
    angles = torch.cat([angles, angles], dim=-1)
    a, b = x.chunk(2, dim=-1)
    return x * angles.cos() + torch.cat([-b, a], dim=-1) * angles.sin()


if __name__ == "__main__":
    main()
