"""The configuration of an OpenELM model that can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from service.errors import InvalidInput
from service.theory.openelm_size import OpenELMSizes

Initialisation = Literal["corenet", "hugging_face"]


@dataclass(frozen=True)
class OpenELMConfig(OpenELMSizes):
    """The sizes of an OpenELM layer by layer, its dropout, its initialisation and the width of its rows.

    Lists become tuples, so that `OpenELMConfig(**json)` undoes `dataclasses.asdict`.

    Raises:
        InvalidInput: sizes that make no model.
    """

    n_ctx: int = 1024
    attention_dropout: float = 0.1  # the paper's; OpenELM itself is trained without dropout
    embedding_dropout: float = 0.1
    initialisation: Initialisation = "hugging_face"
    width_multiple: int = 1  # rows are padded with zeros to a multiple of it: the same model, faster on a GPU

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
