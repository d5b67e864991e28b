"""The forward pass of a decoder: one walk through its blocks, which yields the vectors at every site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import add

import torch

from service.contracts.sites import FINAL_NORM, Site

Map = Callable[[torch.Tensor], torch.Tensor]  # (B, T, D) → (B, T, D)
Join = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Stream = Iterator[tuple[Site, torch.Tensor]]


@dataclass(frozen=True)
class BlockParts:
    """The parts of a block between its sites.

    Attributes:
        attention: the residual stream → `attn_out`, with the norm before it where the block has one.
        mlp: `resid_mid` → `mlp_out`, likewise.
        join_attention: (residual stream, `attn_out`) → `resid_mid`; their sum by default.
        join_mlp: (`resid_mid`, `mlp_out`) → `resid_post`; their sum by default.
    """

    attention: Map
    mlp: Map
    join_attention: Join = add
    join_mlp: Join = add


def walk_blocks(resid_BTD: torch.Tensor, blocks: Sequence[BlockParts], final_norm: Map) -> Stream:
    """(B, T, D) at every site in the order of the forward pass, from the embedded tokens (B, T, D).

    `final_norm_out` comes last. A site is computed when the caller reaches it.
    """
    for layer, block in enumerate(blocks):
        yield Site(layer, "resid_pre"), resid_BTD
        attn_BTD = block.attention(resid_BTD)
        yield Site(layer, "attn_out"), attn_BTD
        resid_BTD = block.join_attention(resid_BTD, attn_BTD)
        yield Site(layer, "resid_mid"), resid_BTD
        mlp_BTD = block.mlp(resid_BTD)
        yield Site(layer, "mlp_out"), mlp_BTD
        resid_BTD = block.join_mlp(resid_BTD, mlp_BTD)
        yield Site(layer, "resid_post"), resid_BTD
    yield Site(len(blocks), FINAL_NORM), final_norm(resid_BTD)


def read_sites(stream: Stream, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
    """The vectors at `sites`; the forward pass stops after the last of them."""
    wanted, found = set(sites), dict[Site, torch.Tensor]()
    for site, vectors_BTD in stream:
        if site in wanted:
            found[site] = vectors_BTD
            if len(found) == len(wanted):
                break
    return found
