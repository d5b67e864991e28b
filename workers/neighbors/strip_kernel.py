"""The filter on a GPU by Triton: products, exclusion, comparison with both rows' limits and the list of pairs, at once.

One launch computes all tiles of a rectangle of slots in which every pair has the same first prefix. A program takes
tile after tile (it is persistent); the tiles that run at the same time share their columns, so that the columns are
read from memory once and the rows stay in the second-level cache.

Only a tile with a pair within reach is written, to a scratch of the program that stays in the cache, and examined there
slice by slice: the registers of a tile leave no room to list its pairs from them.
"""

from __future__ import annotations

import triton  # pyright: ignore[reportMissingImports]  # comes with torch for CUDA
import triton.language as tl  # pyright: ignore[reportMissingImports]


@triton.jit
def _largest(reach, norms, error, norm, gamma, twice_absolute, factor):  # noqa: ANN001, ANN202
    """The largest product within reach of each row, for others of at most this error and norm; −inf for none."""
    both, sums = reach + error, norms + norm
    return tl.where(reach < 0, float("-inf"), (both * both + gamma * sums * sums + twice_absolute) * factor)


@triton.jit
def _append(chosen, rows, columns, values, out_rows, out_columns, out_values, count, capacity):  # noqa: ANN001, ANN202
    """Append the chosen pairs; those beyond the capacity are only counted."""
    at = tl.atomic_add(count + tl.zeros_like(rows), 1, mask=chosen, sem="relaxed")
    chosen = chosen & (at < capacity)
    tl.store(out_rows + at, rows, mask=chosen)
    tl.store(out_columns + at, columns, mask=chosen)
    tl.store(out_values + at, values, mask=chosen)


@triton.jit
def append_kernel(  # noqa: ANN201, D103, PLR0912, PLR0915
    left, right, row_reach, column_reach, row_norms, column_norms, row_errors, column_errors,  # noqa: ANN001
    row_codes, column_codes, out_rows, out_columns, out_values, count, scratch,  # noqa: ANN001
    row_offset, column_offset, row_start, row_stop, column_start, column_stop, capacity,  # noqa: ANN001
    gamma, twice_absolute, factor, prefix, prefixes, columns: tl.constexpr,  # noqa: ANN001
    symmetric: tl.constexpr, by_code: tl.constexpr, rows_here: tl.constexpr, columns_here: tl.constexpr,
    depth: tl.constexpr, slice_rows: tl.constexpr, flat: tl.constexpr,
):  # fmt: skip
    row_tiles = tl.cdiv(row_stop - row_start, rows_here)
    tiles = row_tiles * tl.cdiv(column_stop - column_start, columns_here)
    inner = tl.arange(0, depth)
    kept = scratch + tl.program_id(0) * (rows_here * columns_here)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        first_row = row_start + (tile % row_tiles) * rows_here
        first_column = column_start + (tile // row_tiles) * columns_here
        if not symmetric or first_column + columns_here > first_row:  # other pairs are found from their other side
            row = first_row + tl.arange(0, rows_here)
            column = first_column + tl.arange(0, columns_here)
            own_row, own_column = row < row_stop, column < column_stop
            a_at = left + (row - row_offset).to(tl.int64)[:, None] * columns + inner[None, :]
            b_at = right + (column - column_offset).to(tl.int64)[None, :] * columns + inner[:, None]
            product = tl.zeros((rows_here, columns_here), dtype=tl.float32)
            for _ in range(0, columns, depth):
                a = tl.load(a_at, mask=own_row[:, None], other=0.0)
                b = tl.load(b_at, mask=own_column[None, :], other=0.0)
                product = tl.dot(a, b, product, input_precision="ieee")
                a_at += depth
                b_at += depth
            error = tl.load(row_errors + row, mask=own_row, other=0.0)
            norm = tl.load(row_norms + row, mask=own_row, other=0.0)
            other_error = tl.load(column_errors + column, mask=own_column, other=0.0)
            other_norm = tl.load(column_norms + column, mask=own_column, other=0.0)
            largest_error, largest_norm = tl.max(other_error, 0), tl.max(other_norm, 0)
            reach = tl.load(row_reach + row.to(tl.int64) * prefixes + prefix, mask=own_row, other=-1.0)
            within = _largest(reach, norm, largest_error, largest_norm, gamma, twice_absolute, factor)
            if flat:
                hits = tl.sum(tl.reshape((product <= within[:, None]).to(tl.int32), (rows_here * columns_here,)), 0)
            else:
                hits = tl.sum((tl.min(product, 1) <= within).to(tl.int32), 0)
            other_within = tl.full((columns_here,), float("-inf"), tl.float32)
            if symmetric:
                other_reach = tl.load(
                    column_reach + column.to(tl.int64) * prefixes + prefix, mask=own_column, other=-1.0
                )
                other_within = _largest(
                    other_reach, other_norm, tl.max(error, 0), tl.max(norm, 0), gamma, twice_absolute, factor
                )
                if flat:
                    back = (product <= other_within[None, :]).to(tl.int32)
                    hits += tl.sum(tl.reshape(back, (rows_here * columns_here,)), 0)
                else:
                    hits += tl.sum((tl.min(product, 0) <= other_within).to(tl.int32), 0)
            if hits > 0:
                at_rows, at_columns = tl.arange(0, rows_here), tl.arange(0, columns_here)
                tl.store(kept + at_rows[:, None] * columns_here + at_columns[None, :], product)
                tl.debug_barrier()
                for start in range(0, rows_here, slice_rows):
                    here = first_row + start + tl.arange(0, slice_rows)
                    own = here < row_stop
                    at = start + tl.arange(0, slice_rows)
                    values = tl.load(kept + at[:, None] * columns_here + at_columns[None, :])
                    slice_reach = tl.load(row_reach + here.to(tl.int64) * prefixes + prefix, mask=own, other=-1.0)
                    slice_norm = tl.load(row_norms + here, mask=own, other=0.0)
                    slice_within = _largest(
                        slice_reach, slice_norm, largest_error, largest_norm, gamma, twice_absolute, factor
                    )
                    wanted = own[:, None] & own_column[None, :]
                    if by_code:
                        code = tl.load(row_codes + here, mask=own, other=0)
                        other_code = tl.load(column_codes + column, mask=own_column, other=0)
                        wanted = wanted & (code[:, None] != other_code[None, :])
                    if symmetric:
                        wanted = wanted & (column[None, :] > here[:, None])
                    rows_2d = tl.broadcast_to(here[:, None], (slice_rows, columns_here))
                    columns_2d = tl.broadcast_to(column[None, :], (slice_rows, columns_here))
                    near = wanted & (values <= slice_within[:, None])
                    _append(near, rows_2d, columns_2d, values, out_rows, out_columns, out_values, count, capacity)
                    if symmetric:
                        near = wanted & (values <= other_within[None, :])
                        _append(near, columns_2d, rows_2d, values, out_rows, out_columns, out_values, count, capacity)
                tl.debug_barrier()
