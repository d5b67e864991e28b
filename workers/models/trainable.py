"""The base class of models that are trained here: one forward pass, read at sites or to its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from service.contracts.sites import Site
from service.errors import InvalidInput
from workers.models.interface import ModelSizes, OutputMap, take_positions
from workers.models.stream import BlockParts, Stream, read_sites, walk_blocks

_VARIANTS = 8  # of a compiled part of a block: training or evaluation, shapes, precision


class TrainableModel(nn.Module, ABC):
    """A decoder whose loss is computed from `hidden` and the output map, without all logits at once.

    Shapes: B batch, T positions, V d_vocab, D the stored width: d_model, or a little more, padded with zeros.
    Attention is causal, so tokens padded on the right change no vector before them. It is also a `HookedModel`.
    """

    sizes: ModelSizes
    blocks: nn.ModuleList

    @property
    @abstractmethod
    def output_weight(self) -> torch.Tensor:
        """(V, D)."""

    @property
    def output_bias(self) -> torch.Tensor | None:
        """(V,), or None."""
        return None

    @property
    def output_map(self) -> OutputMap:
        """See `HookedModel.output_map`."""
        return OutputMap(self.output_weight, self.output_bias)

    @property
    def device(self) -> torch.device:
        return self.output_weight.device

    @abstractmethod
    def parameter_counts(self) -> dict[str, int]:
        """`total`, and `without_embeddings`: without the embedding and the output map (a final norm counts)."""

    def unpadded_shapes(self) -> dict[str, torch.Size]:
        """The shape of every parameter without padding, by name."""
        return {name: parameter.shape for name, parameter in self.named_parameters()}

    @abstractmethod
    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, D) residual stream before the first block, of (B, T) int64 tokens."""

    @abstractmethod
    def _parts(self, block: nn.Module) -> BlockParts:
        """The parts of one of `blocks`."""

    def _final_norm(self, resid_BTD: torch.Tensor) -> torch.Tensor:
        """(B, T, D) → (B, T, D): the norm after the last block; by default there is none."""
        return resid_BTD

    def compile_blocks(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compile the parts between the sites of every block in place, at first use; weights keep their names.

        All blocks share the code of a part. It is compiled for each block, in training and in evaluation, and for each
        shape that comes twice; beyond its limit the compiler would leave the rest uncompiled, without a word.
        """
        from torch._dynamo import config as limits  # takes a second, and few runs need it

        variants = _VARIANTS * len(self.blocks)
        limits.recompile_limit = max(limits.recompile_limit, variants)
        limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, 8 * variants)
        for block in self.blocks:
            for part in block.children():
                part.compile(backend=backend)

    def hidden(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, D) inputs of the output map for (B, T) int64 tokens.

        Raises:
            InvalidInput: T is more than `sizes.n_ctx`.
        """
        vectors_BTD = torch.empty(0)
        for _, vectors_BTD in self._stream(tokens):  # noqa: B007 (the last is the answer)
            pass
        return vectors_BTD

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, T, V) logits of the next token, all held at once."""
        return functional.linear(self.hidden(tokens), self.output_weight, self.output_bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`logits`."""
        return self.logits(tokens)

    @torch.inference_mode()
    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        """(B, T, d_model) at each site, dropout off; see `HookedModel.read`. Raises what `hidden` raises."""
        was_training = self.training
        self.eval()
        try:
            found = read_sites(self._stream(tokens), sites)
        finally:
            self.train(was_training)
        return {site: take_positions(vectors_BTD[..., : self.sizes.d_model], at) for site, vectors_BTD in found.items()}

    def _stream(self, tokens: torch.Tensor) -> Stream:
        if tokens.shape[1] > self.sizes.n_ctx:
            raise InvalidInput(f"the model reads at most {self.sizes.n_ctx} tokens, not {tokens.shape[1]}")
        blocks = [self._parts(block) for block in self.blocks]
        return walk_blocks(self._embed(tokens), blocks, self._final_norm)
