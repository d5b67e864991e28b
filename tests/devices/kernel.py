"""The kernels on a pretend GPU: torch computes what Triton would, counted as one launch without a wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

from tests.devices.pretend import PretendGpu
from workers.energy import query_block, self_test
from workers.energy.patterns import Patterns
from workers.energy.tile_scan import Products, Scan, scan_plain
from workers.neighbors import appending
from workers.neighbors.appending import Rectangle, Strip
from workers.neighbors.pool import Pool


def scan_by_torch(each: Scan, products: Products) -> None:
    """Add a tile to a pooled scan by torch."""
    scan_plain([each], replace(products, values=products.values.clone()))
    pool = each.near.pool
    assert pool is not None
    query, place, values, lowers = each.near._kept.pop()
    there = lowers < float("inf")
    start, stop = int(pool.count), int(pool.count) + int(there.sum())
    fit = min(stop, pool.capacity) - start
    for room, part in zip(
        (pool.queries, pool.places, pool.values, pool.lowers), (query, place, values, lowers), strict=True
    ):
        room[start : start + fit] = part[there][:fit].to(room.dtype)
    pool.count.add_(stop - start)


@contextmanager
def kernel_on(gpu: PretendGpu) -> Iterator[None]:
    """Let both kernels run on the pretend GPU within the block."""

    def append(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
        with gpu.as_one_launch("append"):
            appending.append_plain(strip, rectangle, pool)

    def scan(each: Scan, products: Products) -> None:
        with gpu.as_one_launch("scan"):
            scan_by_torch(each, products)

    def is_fused(patterns: Patterns) -> bool:
        return patterns.device.type == "cuda"

    with ExitStack() as patches:
        patches.enter_context(patch.object(appending, "append_fused", append))
        for module in (query_block, self_test):
            patches.enter_context(patch.object(module, "scan_fused", scan))
        patches.enter_context(patch.object(query_block, "is_fused", is_fused))
        yield
