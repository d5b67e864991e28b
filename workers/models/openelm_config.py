"""Configurations of OpenELM models that can be trained: by OpenELM's rules, the paper's three, and small ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from service.errors import InvalidInput
from service.theory.openelm_size import OPENELM, openelm_config
from service.theory.openelm_size import OpenElmConfig as OpenELMSizes

Initialisation = Literal["corenet", "hugging_face"]


@dataclass(frozen=True)
class OpenELMConfig(OpenELMSizes):
    """An OpenELM's sizes, layer by layer, and how it is trained.

    Lists are taken for tuples, so that `OpenELMConfig(**json)` undoes `dataclasses.asdict`.

    Raises:
        InvalidInput: sizes that make no model.
    """

    n_ctx: int = 1024
    attention_dropout: float = 0.1  # the paper's; OpenELM itself is trained without dropout
    embedding_dropout: float = 0.1
    initialisation: Initialisation = "hugging_face"
    width_multiple: int = 1  # vectors are stored with zeros up to a multiple of it: the same model, faster on a GPU

    def __post_init__(self) -> None:
        for name in ("query_heads", "kv_heads", "d_mlp"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        super().__post_init__()
        if any(kv < 1 or heads < 1 or heads % kv for heads, kv in zip(self.query_heads, self.kv_heads, strict=True)):
            raise InvalidInput("query_heads must be positive multiples of kv_heads", field="query_heads")
        if min(self.d_mlp) < 1:
            raise InvalidInput("d_mlp must be positive", field="d_mlp")
        if self.d_head % 2:
            raise InvalidInput("d_head must be even", field="d_head")
        if self.n_ctx < 1 or self.width_multiple < 1:
            raise InvalidInput("n_ctx and width_multiple must be positive", field="n_ctx")
        if not (0 <= self.attention_dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise InvalidInput("a dropout is from 0 to below 1", field="attention_dropout")
        if self.initialisation not in get_args(Initialisation):
            raise InvalidInput("initialisation must be corenet or hugging_face", field="initialisation")

    @property
    def stored_width(self) -> int:
        """d_model rounded up to `width_multiple`."""
        return -(-self.d_model // self.width_multiple) * self.width_multiple


def trainable(sizes: OpenELMSizes, **options: Any) -> OpenELMConfig:
    """The sizes with options of `OpenELMConfig`."""
    return OpenELMConfig(**(asdict(sizes) | options))


def _heads_b(sizes: OpenELMSizes) -> OpenELMSizes:
    """Model 2 with the head counts printed for model 3, and the multipliers 0.75-1.80 of the two other models."""
    kv_heads = (3, 3, 3, 4, 4, 4, 5, 5)
    queries = tuple(2 * heads for heads in kv_heads)
    return OpenELMSizes(sizes.d_model, queries, kv_heads, (1024, 1024, 1280, 1536, 1536, 1792, 2048, 2304))


_M1, _M2, _M3 = (OPENELM[f"openelm-{name}"].config for name in ("m1", "m2", "m3"))

# N, the parameters without the embedding: 39,947,866; 60,257,472 (twice: heads and widths trade off); 60,264,704 with
# the printed width 1280, which no multiples of 256 can give; 80,204,704.
PAPER: dict[str, OpenELMConfig] = {
    "m1": trainable(_M1),
    "m1-padded": trainable(_M1, width_multiple=64),
    "m2": trainable(_M2),
    "m2-heads-b": trainable(_heads_b(_M2)),
    "m2-printed": OpenELMConfig(1280, _M2.query_heads, _M2.kv_heads, (1497,) * 8),
    "m3": trainable(_M3),
}

_NO_DROPOUT: dict[str, Any] = {"attention_dropout": 0.0, "embedding_dropout": 0.0}
SMALL: dict[str, OpenELMConfig] = {
    # 14.7 M parameters, 12.9 M of them in the full vocabulary's embedding.
    "small": trainable(openelm_config(256, 4, group=2, ffn=(0.75, 1.8), d_vocab=50_257), n_ctx=256, **_NO_DROPOUT),
    "tiny": OpenELMConfig(32, (2, 4), (1, 2), (64, 96), d_head=8, d_vocab=300, n_ctx=64, **_NO_DROPOUT),
}
