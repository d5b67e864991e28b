"""Parameter counts of a GPT-2: appendix E as printed, and the true count; the A of eq. (2), N ≈ A·l·d_emb².

Source of the configurations: Radford et al. 2019 as released (vocabulary 50,257, context 1,024).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from service.errors import InvalidInput
from service.theory.domain import check
from service.theory.openelm_size import OPENELM, OpenELMSizes, PrintedOpenELM, openelm_size

_LARGEST = 2**24  # of a width, a vocabulary or a context


@dataclass(frozen=True)
class Gpt2Config:
    """The sizes of a GPT-2; `d_mlp` is the width of the feed-forward layer, 4·d_model in all released models."""

    n_layers: int
    d_model: int
    n_ctx: int = 1024
    d_vocab: int = 50_257
    d_mlp: int | None = None

    def __post_init__(self) -> None:
        check("n_layers", self.n_layers, 1, 10_000)
        for name in ("d_model", "n_ctx", "d_vocab"):
            check(name, getattr(self, name), 1, _LARGEST)
        if self.d_mlp is not None:
            check("d_mlp", self.d_mlp, 1, 4 * _LARGEST)


@dataclass(frozen=True)
class TransformerSize:
    """Numbers of parameters; A = blocks / (n_layers · d_model²)."""

    blocks: int  # attention, feed-forward and norms of all layers
    total: int  # with embeddings (tied) and the final norm
    A: float


@dataclass(frozen=True)
class PrintedSize:
    """Appendix E's three numbers and their sum; None where the paper does not give a part."""

    attention: int | None
    dense: int | None
    feed_forward: int | None
    total: int
    A: float


GPT2 = {
    "gpt2": Gpt2Config(12, 768),
    "gpt2-medium": Gpt2Config(24, 1024),
    "gpt2-large": Gpt2Config(36, 1280),
    "gpt2-xl": Gpt2Config(48, 1600),
}

_GPT2_NOTES = [
    "Appendix E: d_FF = 3072 is that of GPT-2 small, 4·768; GPT-2 medium has 4·1024 = 4096, so A is 12, not 10.",
    "Appendix E: the biases of the queries, keys, values and of the dense layer and the second norm of each block, "
    "6d_emb per layer, are left out.",
    "Appendix E: the model is trained to predict the next token, not the next sentence, and its blocks are decoders.",
]
_OPENELM_NOTES = [
    "Appendix G.1: the paper prints N alone; `corrected` counts a model with the printed heads and with feed-forward "
    "widths inferred from N, since the paper leaves them out.",
    "Eq. (2): A = N/(l·d_emb²) is neither constant over the three models nor near appendix E's 10.",
    "Appendix G.1: the printed numbers of heads do not follow from the printed dimensions by OpenELM's own rule.",
]
_M2_NOTE = (
    "Appendix G.1: no feed-forward widths that are multiples of 64 give 60.26M parameters at the printed model "
    "dimension 1280; 1216 fits, and `corrected` takes it."
)


def gpt2_size(config: Gpt2Config) -> TransformerSize:
    """The true count: per layer 4d² + 4d of attention, 2·d·d_mlp + d + d_mlp of feed-forward, 4d of two norms.

    With d_mlp = 4d that is 12d² + 13d. Embeddings (d_vocab + n_ctx)·d, the output tied to them; final norm 2d.
    """
    d, width = config.d_model, config.d_mlp or 4 * config.d_model
    blocks = config.n_layers * (4 * d * d + 4 * d + 2 * d * width + d + width + 4 * d)
    total = blocks + (config.d_vocab + config.n_ctx) * d + 2 * d
    return TransformerSize(blocks, total, blocks / (config.n_layers * d * d))


def printed_gpt2_size(config: Gpt2Config) -> PrintedSize:
    """Appendix E as printed, with d_FF = 3·d_emb: 3ld² of attention, l(d² + 2d) dense, l(6d² + 4d) feed-forward."""
    layers, d = config.n_layers, config.d_model
    attention, dense, feed_forward = 3 * layers * d * d, layers * (d * d + 2 * d), layers * (6 * d * d + 4 * d)
    total = attention + dense + feed_forward
    return PrintedSize(attention, dense, feed_forward, total, total / (layers * d * d))


def model_names() -> tuple[str, ...]:
    """The names of the models."""
    return (*GPT2, *OPENELM)


def transformer_size_theory(model: str) -> dict[str, Any]:
    """The sizes of a named model.

    Raises:
        InvalidInput: the name is not one of `model_names()`.
    """
    if model in GPT2:
        return gpt2_size_theory(GPT2[model])
    if model not in OPENELM:
        raise InvalidInput(f"model must be one of {', '.join(model_names())}", field="model")
    return _openelm_theory(OPENELM[model])


def gpt2_size_theory(config: Gpt2Config) -> dict[str, Any]:
    """The sizes of any GPT-2."""
    return _answer(printed_gpt2_size(config), gpt2_size(config), _GPT2_NOTES)


def _openelm_theory(printed: PrintedOpenELM) -> dict[str, Any]:
    constant = printed.parameters / (printed.n_layers * printed.d_model**2)
    config: OpenELMSizes = printed.config
    found = openelm_size(config)
    corrected = TransformerSize(found.blocks, found.total, found.blocks / (config.n_layers * config.d_model**2))
    notes = _OPENELM_NOTES if config.d_model == printed.d_model else [*_OPENELM_NOTES, _M2_NOTE]
    return _answer(PrintedSize(None, None, None, printed.parameters, constant), corrected, notes)


def _answer(printed: PrintedSize, found: TransformerSize, notes: list[str]) -> dict[str, Any]:
    return {"paper_literal": asdict(printed), "corrected": asdict(found), "notes": notes}
