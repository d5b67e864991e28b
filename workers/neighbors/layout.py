"""The order of the rows in a search: slots, blocks of 64 slots, and tiles of blocks.

A slot holds one row or none. A stretch is the rows between two nested prefixes. No block holds rows of two stretches,
so that each block has one first prefix, and every prefix is a union of whole blocks.

The filter's bounds use the largest norm and the largest error of a block. Within a stretch rows are therefore sorted by
size: one long row would make the bounds of the 63 others useless, and the first positions of a Transformer's contexts
give rows hundreds of times as long as the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

BLOCK = 64


@dataclass(frozen=True)
class Layout:
    """Rows in slots.

    Attributes:
        ids: (slots,) int64 row ids, on the device of the rows; −1 in an empty slot.
        block_prefixes: (slots / 64,) int64 ascending, on the CPU: the first prefix that holds the block.
    """

    ids: Tensor
    block_prefixes: Tensor

    @property
    def slots(self) -> int:
        return len(self.ids)

    @cached_property
    def slot_prefixes(self) -> Tensor:
        """(slots,) int64, on the device of the rows."""
        return self.block_prefixes.to(self.ids.device).repeat_interleave(BLOCK)

    def part(self, slots: slice) -> Layout:
        """Some slots, of whole blocks; their rows are not copied."""
        return Layout(self.ids[slots], self.block_prefixes[slots.start // BLOCK : slots.stop // BLOCK])

    def segments(self, blocks: slice) -> list[tuple[int, slice]]:
        """The stretches within a range of blocks: first prefix, and part of the range."""
        prefixes = self.block_prefixes[blocks]
        edges = [0, *(torch.nonzero(prefixes[1:] != prefixes[:-1])[:, 0] + 1).tolist(), len(prefixes)]
        return [(int(prefixes[low]), slice(low, high)) for low, high in pairwise(edges) if low < high]


def lay_out(order: Tensor, sizes: Sequence[int], lengths: Tensor | None = None) -> Layout:
    """Slots for the nested prefixes `order[:sizes[p]]`.

    Args:
        order: (n,) int64 row ids.
        sizes: not decreasing, the last is n.
        lengths: (n,) of the rows in that order; each stretch is sorted by them. None: the stretches keep the order.
    """
    ids = []
    for low, high in pairwise([0, *sizes]):
        stretch = order[low:high]
        if lengths is not None:
            stretch = stretch[torch.argsort(lengths[low:high], stable=True)]
        ids += [stretch, torch.full((-(high - low) % BLOCK,), -1, dtype=torch.int64, device=order.device)]
    return laid_out(torch.cat(ids), sizes)


def laid_out(ids: Tensor, sizes: Sequence[int]) -> Layout:
    """The layout of nested prefixes of these sizes whose slots hold these rows."""
    blocks = torch.tensor([-(-(high - low) // BLOCK) for low, high in pairwise([0, *sizes])])
    return Layout(ids, torch.arange(len(sizes)).repeat_interleave(blocks))
