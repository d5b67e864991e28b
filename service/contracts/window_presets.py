"""Presets of OpenELM runs: the paper's (appendices F.3, G), and smaller ones for two CPU cores."""

from __future__ import annotations

from typing import Any

from service.contracts.jobs import Preset
from service.contracts.sentence_presets import RADIUS_ASSUMED, RADIUS_STATED

_OPTIMISATION = {
    "peak_lr": 6e-4,
    "warmup_steps": 2_000,
    "schedule": "cosine",
    "decay_steps": 600_000,
    "final_lr_share": 0.1,
    "weight_decay": 0.1,
    "beta1": 0.9,
    "beta2": 0.95,
    "eps": 1e-8,
    "clip": 1.0,
}
_HEADS_A, _HEADS_B = [6, 6, 6, 6, 8, 8, 8, 10], [6, 6, 6, 8, 8, 8, 10, 10]
_DESIGN = "OpenELM design: RMSNorm, swish, normalised queries and keys, initialiser range 0.02"
_DROPOUT = "attention and embedding dropout 0.1"
_ADAMW = "AdamW with β .9/.95, ε 1e-8"
_CHUNKS = "chunks of the context's length, drawn at random"
_TAIL = "the last 5 % of the tokens for validation"
PAPER_STATED = [
    _DESIGN,
    "8 layers; heads of 64; the numbers of query and of KV heads by layer",
    "vocabulary 50,257 (GPT-2 encoding); context 1024",
    "491,520 tokens per iteration, batch size 12",
    _ADAMW,
    _DROPOUT,
    _CHUNKS,
    _TAIL,
    "SPGC, its first 180M words: not bounded here (data.words does), D counts tokens of what is registered as spgc",
]
PAPER_ASSUMED = [
    "6e-4 after 2,000 steps of warm-up, cosine to 6e-5 over 600,000, weight decay 0.1 of matrices and the embedding, "
    "gradient norm clipped at 1: nanoGPT's defaults, the paper is silent",
    "batch size 12 is one backward pass; 40 of them make the 480 sequences of an iteration",
    "feed-forward widths are not stated: multiples of 256 by which the parameters without the embedding are the "
    "printed number; the printed QKV multipliers 0.5, 1.0 do not give the printed heads at this width: the heads count",
    "tied embeddings, RoPE with base 10000, norms with ε 1e-6, gated feed-forward, no biases: OpenELM's, not stated",
    "every matrix and embedding from N(0, 0.02²), residual projections not scaled down; no other dropout, no z-loss",
    "7,000 iterations: the minimum, stated near 6,000 for the first model, and 1,000 after it",
    "evaluation every 250 iterations on 2,400 windows spread evenly over the tail (2.46M tokens), dropout "
    "off; the training loss is the mean over all 480 sequences, dropout on, logged at every iteration",
    "the tail is that of the whole array, the same for every D; the training part's first D tokens are used",
    "<|endoftext|> after every book; windows cross borders of books; nothing is deduplicated",
    "books in the order of their numbers, words joined by newlines (`join` of the corpus): neither order, language nor "
    "join is stated",
    "bfloat16 autocast on a GPU; a model kept every 1,000 iterations",
]


def _paper(
    size: str, d_model: int, heads: list[int], d_mlp: list[int], tokens: int, stated: str, assumed: list[str]
) -> Preset:
    return Preset(
        id=f"paper/f3-{size}",
        kind="training",
        title=f"Appendix F.3: OpenELM with {size.upper()} parameters on Gutenberg books, D = {tokens:,} tokens (GPU)",
        spec={
            "experiment": "openelm",
            "steps": 7_000,
            "batch": 480,
            "micro_batch": 12,
            "log_every": 1,
            "eval_every": 250,
            "checkpoint_every": 1_000,
            "data": {"corpus": "spgc", "tokens": tokens, "validation_windows": 2_400},
            "model": {
                "d_model": d_model,
                "query_heads": heads,
                "kv_heads": [count // 2 for count in heads],
                "d_mlp": d_mlp,
            },
            "optimisation": _OPTIMISATION,
        },
        stated=[stated, f"D* = {tokens / 1e6:.2f}M tokens", *PAPER_STATED],
        assumed=[*assumed, *PAPER_ASSUMED, "seed 0; the paper's is not stated"],
    )


_TINY: dict[str, Any] = {
    "experiment": "openelm",
    "log_every": 1,
    "data": {"corpus": "python-docs", "tokenizer": "bytes", "deduplicate": True},
    "optimisation": _OPTIMISATION | {"peak_lr": 2e-3, "warmup_steps": 50, "decay_steps": None},
}
_SMALL: dict[str, Any] = _TINY | {
    "steps": 600,
    "batch": 16,
    "eval_every": 50,
    "checkpoint_every": 100,
    "model": {
        "d_model": 128,
        "query_heads": [2, 2, 4, 4],
        "kv_heads": [1, 1, 2, 2],
        "d_mlp": [256, 256, 384, 384],
        "d_head": 32,
        "n_ctx": 128,
    },
}
_SMOKE: dict[str, Any] = _TINY | {
    "steps": 40,
    "batch": 8,
    "micro_batch": 4,
    "eval_every": 20,
    "checkpoint_every": 20,
    "model": {
        "d_model": 32,
        "query_heads": [2, 2],
        "kv_heads": [1, 1],
        "d_mlp": [64, 64],
        "d_head": 16,
        "n_ctx": 32,
    },
}
_TINY_STATED = [_DESIGN, _DROPOUT, _ADAMW, _CHUNKS]
_TINY_ASSUMED = [
    "the Python language reference, one token per byte, without paragraphs that stood before",
    "2e-3 after 50 steps of warm-up, cosine to a tenth, weight decay 0.1, gradient norm clipped at 1",
]
_SMALL_ASSUMED = [*_TINY_ASSUMED, "4 layers of width 128, heads of 32, context 128, 16 windows a step"]
_SMOKE_ASSUMED = [*_TINY_ASSUMED, "2 layers of width 32, heads of 16, context 32, 8 windows a step"]

WINDOW_PRESETS: tuple[Preset, ...] = (
    _paper(
        "40m",
        954,
        _HEADS_A,
        [768, 1024, 1024, 1280, 1280, 1536, 1536, 1792],
        214_180_000,
        "model 1: 39.95M parameters, width 954",
        [],
    ),
    _paper(
        "60m",
        1216,
        _HEADS_A,
        [1024, 1024, 1280, 1536, 1792, 1792, 2048, 2304],
        261_780_000,
        "model 2: 60.26M parameters, the heads of model 1 (and width 1280, which is not used here)",
        [
            "width 1216: no widths in multiples of 64 give 1280 the printed 60.26M parameters; d_model 1280 with eight "
            "d_mlp of 1497 has 60,264,704",
        ],
    ),
    _paper(
        "80m",
        1440,
        _HEADS_B,
        [1024, 1280, 1536, 1792, 2048, 2048, 2304, 2560],
        309_370_000,
        "model 3: 80.20M parameters, width 1440",
        [],
    ),
    Preset(
        id="small/f3",
        kind="training",
        title="OpenELM on two CPU cores, in minutes",
        spec=_SMALL,
        stated=[*_TINY_STATED, _TAIL],
        assumed=_SMALL_ASSUMED,
    ),
    Preset(
        id="smoke/f3",
        kind="training",
        title="OpenELM in seconds: the machinery only",
        spec=_SMOKE,
        stated=[*_TINY_STATED, _TAIL],
        assumed=_SMOKE_ASSUMED,
    ),
    Preset(
        id="small/f3-radius",
        kind="training",
        title="The radius while an OpenELM learns, on two CPU cores: minutes",
        spec=_SMALL
        | {
            "steps": 1_000,
            "eval_every": 50,
            "checkpoint_every": 50,
            "data": _TINY["data"] | {"validation_share": 0.1},
            "radius": {"rows": 2_000, "tokens": 32},
        },
        stated=[*RADIUS_STATED, *_TINY_STATED],
        assumed=[
            *_SMALL_ASSUMED,
            RADIUS_ASSUMED,
            "a tenth of the text is held out, so that enough windows do not overlap",
        ],
    ),
    Preset(
        id="smoke/f3-radius",
        kind="training",
        title="The radius during training in seconds: the machinery only",
        spec=_SMOKE | {"radius": {"rows": 100, "tokens": 16}},
        stated=[*RADIUS_STATED, *_TINY_STATED],
        assumed=[*_SMOKE_ASSUMED, RADIUS_ASSUMED],
    ),
)
