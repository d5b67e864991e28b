"""Parameter counts of an OpenELM, by its own rules, and the three models of appendix G.1.

Source of the rules: Mehta et al. 2024 and the model in apple/corenet: pre-norm blocks without biases, RMSNorm,
norms of the queries and keys over the head dimension, gated feed-forward layers, tied embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import InvalidInput
from service.theory.domain import check


@dataclass(frozen=True)
class OpenELMSizes:
    """The sizes of an OpenELM, layer by layer."""

    d_model: int
    query_heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    d_mlp: tuple[int, ...]  # width behind the gate
    d_head: int = 64
    d_vocab: int = 50_257

    def __post_init__(self) -> None:
        check("n_layers", self.n_layers, 1, 10_000)
        for name in ("d_model", "d_head", "d_vocab"):
            check(name, getattr(self, name), 1, 2**24)
        for name in ("kv_heads", "d_mlp"):
            if len(getattr(self, name)) != self.n_layers:
                found = len(getattr(self, name))
                raise InvalidInput(f"{name} must have {self.n_layers} numbers, one per layer, not {found}", field=name)

    @property
    def n_layers(self) -> int:
        """The number of blocks."""
        return len(self.query_heads)


@dataclass(frozen=True)
class OpenELMParameters:
    """Numbers of parameters."""

    blocks: int  # all layers
    transformer: int  # with the final norm: the paper's N
    total: int  # with the tied embeddings


@dataclass(frozen=True)
class PrintedOpenELM:
    """A column of the table in appendix G.1, and the configuration that gives its N."""

    parameters: int
    d_model: int
    n_layers: int
    config: OpenELMSizes


def openelm_size(config: OpenELMSizes) -> OpenELMParameters:
    """Per layer: d·d_head·(q + 2kv) + q·d_head·d of attention, 3·d·d_mlp gated, 2d + 2·d_head of norms."""
    d, blocks = config.d_model, 0
    for queries, pairs, width in zip(config.query_heads, config.kv_heads, config.d_mlp, strict=True):
        blocks += 2 * d * config.d_head * (queries + pairs) + 3 * d * width + 2 * d + 2 * config.d_head
    return OpenELMParameters(blocks, blocks + d, blocks + d + config.d_vocab * d)


_HEADS_A, _HEADS_B = (3, 3, 3, 3, 4, 4, 4, 5), (3, 3, 3, 4, 4, 4, 5, 5)  # key-value heads of appendix G.1


def _reconstructed(d_model: int, kv_heads: tuple[int, ...], d_mlp: tuple[int, ...]) -> OpenELMSizes:
    return OpenELMSizes(d_model, tuple(2 * heads for heads in kv_heads), kv_heads, d_mlp)


# Appendix G.1 leaves the feed-forward widths out. Multipliers from 0.75 to 1.80 (model 2: 0.79 to 1.80, and dimension
# 1216 for the printed 1280) give every printed digit of N; only the sums of the widths are certain, not each of them.
OPENELM = {
    "openelm-m1": PrintedOpenELM(
        39_950_000, 954, 8, _reconstructed(954, _HEADS_A, (768, 1024, 1024, 1280, 1280, 1536, 1536, 1792))
    ),
    "openelm-m2": PrintedOpenELM(
        60_260_000, 1280, 8, _reconstructed(1216, _HEADS_A, (1024, 1024, 1280, 1536, 1792, 1792, 2048, 2304))
    ),
    "openelm-m3": PrintedOpenELM(
        80_200_000, 1440, 8, _reconstructed(1440, _HEADS_B, (1024, 1280, 1536, 1792, 2048, 2048, 2304, 2560))
    ),
}
