"""A tile of products → running sums and candidates of its queries, by Triton, in one launch.

A program has a few queries and goes over all patterns of the tile three times: for the minima of blocks and the sums,
for the smallest upper bounds, and for the pairs within their limit. The second and third pass read the minima of
blocks, and a block's products only where it has a pair within reach. tile_scan.py says what is computed.
"""

from __future__ import annotations

import triton  # pyright: ignore[reportMissingImports]  # comes with torch for CUDA
import triton.language as tl  # pyright: ignore[reportMissingImports]

BLOCK = tl.constexpr(64)


@triton.jit
def _values(products, lifts, row, column, rows, columns, own, lifted: tl.constexpr):  # noqa: ANN001, ANN202
    """(m, n) values of some rows and columns; inf for a query's own pattern and beyond the tile."""
    there = (row < rows)[:, None] & (column < columns)[None, :]
    at = products + row.to(tl.int64)[:, None] * columns + column[None, :]
    values = tl.load(at, mask=there, other=float("inf"))
    if lifted:
        values += tl.load(lifts + column, mask=column < columns, other=0.0)[None, :]
    return tl.where(column[None, :] == own[:, None], float("inf"), values)


@triton.jit
def _slack(norm, longest, lift, gamma, absolute, lift_unit, lifted: tl.constexpr):  # noqa: ANN001, ANN202
    """Bounds on the rounding of the values of blocks with this longest pattern and largest lift."""
    reach_sq = (norm + longest) * (norm + longest)
    slack = gamma * reach_sq + absolute
    if lifted:
        slack += lift_unit * (lift + reach_sq)
    return slack


@triton.jit
def _smallest(best, uppers, kept: tl.constexpr, width: tl.constexpr):  # noqa: ANN001, ANN202
    """The `kept` smallest of each row of both, ascending; `best` is ascending."""
    at, other = tl.arange(0, kept), tl.arange(0, width)
    if tl.sum((tl.min(uppers, 1) < tl.max(best, 1)).to(tl.int32), 0) > 0:
        found = tl.full(best.shape, float("inf"), tl.float64)
        for place in range(kept):
            a, b = tl.min(best, 1), tl.min(uppers, 1)
            found = tl.where(at[None, :] == place, tl.minimum(a, b)[:, None], found)
            taken, taken_other = tl.argmin(best, 1), tl.argmin(uppers, 1)
            best = tl.where((at[None, :] == taken[:, None]) & (a <= b)[:, None], float("inf"), best)
            uppers = tl.where((other[None, :] == taken_other[:, None]) & (a > b)[:, None], float("inf"), uppers)
        best = found
    return best


@triton.jit
def scan_kernel(  # noqa: ANN201, D103, PLR0915
    products, lifts, own, norms, longest, largest_lifts, betas, minima, best, least, sums, crowded,  # noqa: ANN001
    pool_rows, pool_places, pool_values, pool_lowers, count, rows, columns, blocks, start, capacity,  # noqa: ANN001
    heavy, gamma, absolute, lift_unit, crowd, k: tl.constexpr, most: tl.constexpr, kept: tl.constexpr,  # noqa: ANN001
    beta_count: tl.constexpr, beta_room: tl.constexpr, lifted: tl.constexpr, singly: tl.constexpr,
    rows_here: tl.constexpr, columns_here: tl.constexpr, blocks_here: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * rows_here + tl.arange(0, rows_here)
    mine = row < rows
    own_column = tl.load(own + row, mask=mine, other=-1) - start  # negative, or beyond the tile, if it is not here

    # The minima of blocks, and the shifted sums.
    low = tl.load(least + row, mask=mine, other=float("inf"))
    beta_at = tl.arange(0, beta_room)
    sums_at = sums + beta_at[None, :] * rows + row[:, None]
    sums_there = mine[:, None] & (beta_at < beta_count)[None, :]
    total = tl.load(sums_at, mask=sums_there, other=0.0)
    for first in range(0, columns, columns_here):
        values = _values(products, lifts, row, first + tl.arange(0, columns_here), rows, columns, own_column, lifted)
        by_block = tl.reshape(values, (rows_here, columns_here // BLOCK, BLOCK))
        block = first // BLOCK + tl.arange(0, columns_here // BLOCK)
        at = minima + row.to(tl.int64)[:, None] * blocks + block[None, :]
        tl.store(at, tl.min(by_block, 2), mask=mine[:, None] & (block < blocks)[None, :])
        before = low
        low = tl.minimum(low, tl.min(values, 1))
        drop = tl.where(before > low, before - low, 0.0).to(tl.float64)
        heights = tl.where(values < float("inf"), values - low[:, None], float("inf"))
        for number in tl.static_range(beta_count):
            beta = tl.load(betas + number)
            weights = tl.reshape(tl.exp(-(heights * beta)), (rows_here, columns_here // BLOCK, BLOCK))
            added = tl.sum(tl.sum(weights, 2).to(tl.float64), 1)
            shrunk = total * tl.exp(-(drop * beta.to(tl.float64)))[:, None]
            total = tl.where(beta_at[None, :] == number, shrunk + added[:, None], total)
    tl.store(least + row, low, mask=mine)
    tl.store(sums_at, total, mask=sums_there)
    tl.debug_barrier()

    # The smallest upper bounds.
    norm = tl.load(norms + row, mask=mine, other=0.0)
    kept_at = tl.arange(0, kept)
    best_at = best + row[:, None] * kept + kept_at[None, :]
    top = tl.load(best_at, mask=mine[:, None], other=float("inf"))
    if singly:
        for block in range(0, blocks):
            length, lift = tl.load(longest + block), tl.load(largest_lifts + block)
            slack = _slack(norm, length, lift, gamma, absolute, lift_unit, lifted)
            column = block * BLOCK + tl.arange(0, BLOCK)
            values = _values(products, lifts, row, column, rows, columns, own_column, lifted)
            top = _smallest(top, (values + slack[:, None]).to(tl.float64), kept, BLOCK)
    else:
        for first in range(0, blocks, blocks_here):
            block = first + tl.arange(0, blocks_here)
            there = block < blocks
            length = tl.load(longest + block, mask=there, other=0.0)
            lift = tl.load(largest_lifts + block, mask=there, other=0.0)
            slack = _slack(norm[:, None], length[None, :], lift[None, :], gamma, absolute, lift_unit, lifted)
            at = minima + row.to(tl.int64)[:, None] * blocks + block[None, :]
            smallest = tl.load(at, mask=mine[:, None] & there[None, :], other=float("inf"))
            top = _smallest(top, (smallest + slack).to(tl.float64), kept, blocks_here)
    tl.store(best_at, top, mask=mine[:, None])

    # The pairs within the limit.
    nearest = tl.sum(tl.where(kept_at[None, :] == 0, top, 0.0), 1)
    kth = tl.sum(tl.where(kept_at[None, :] == k - 1, top, 0.0), 1)
    last = tl.sum(tl.where(kept_at[None, :] == most - 1, top, 0.0), 1)
    limit = tl.maximum(kth, tl.minimum(nearest + heavy, last))
    was_crowded = tl.load(crowded + row, mask=mine, other=0)
    limit = tl.where(was_crowded > 0, float("-inf"), limit)
    found = tl.zeros((rows_here,), tl.int32)
    for block in range(0, blocks):
        length, lift = tl.load(longest + block), tl.load(largest_lifts + block)
        slack = _slack(norm, length, lift, gamma, absolute, lift_unit, lifted)
        smallest = tl.load(minima + row.to(tl.int64) * blocks + block, mask=mine, other=float("inf"))
        within = mine & ((smallest - slack).to(tl.float64) <= limit)
        if tl.sum(within.to(tl.int32), 0) > 0:
            column = block * BLOCK + tl.arange(0, BLOCK)
            values = _values(products, lifts, row, column, rows, columns, own_column, lifted)
            lowers = values - slack[:, None]
            wanted = within[:, None] & (lowers.to(tl.float64) <= limit[:, None]) & (values < float("inf"))
            found += tl.sum(wanted.to(tl.int32), 1)
            wanted = wanted & (found <= crowd)[:, None]
            places = tl.broadcast_to((start + column)[None, :], (rows_here, BLOCK))
            here = tl.broadcast_to(row[:, None], (rows_here, BLOCK))
            at = tl.atomic_add(count + tl.zeros_like(places).to(tl.int32), 1, mask=wanted, sem="relaxed")
            wanted = wanted & (at < capacity)
            tl.store(pool_rows + at, here, mask=wanted)
            tl.store(pool_places + at, places, mask=wanted)
            tl.store(pool_values + at, values, mask=wanted)
            tl.store(pool_lowers + at, lowers, mask=wanted)
    tl.store(crowded + row, ((found > crowd) | (was_crowded > 0)).to(tl.int8), mask=mine)
