"""The self-test of the kernel: on each device, for each format, once in a process, before its first search.

Bounds are rigorous only if the device multiplies as they assume. A kernel that multiplies wrongly, on a new card or by
a new compiler, would drop neighbours and certify the rest. So strips of random rows, some in one prefix and some in
two, are searched by the kernel and compared with float64: each pair listed has its product within the error bound, and
no pair within reach is missing. A kernel that fails, or that cannot be compiled, is not used.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from workers.devices.kernels import KernelState, try_kernel
from workers.neighbors.appending import Strip, append, reach_of
from workers.neighbors.candidates import Prefixes
from workers.neighbors.device_rows import rows_on
from workers.neighbors.encoding import choose_encoding
from workers.neighbors.layout import lay_out
from workers.neighbors.pool import Pool
from workers.neighbors.search import Search, left_columns
from workers.neighbors.side import encode_side
from workers.neighbors.stored import CentredRows, StoredRows, scale_below

KERNEL_FORMATS = (torch.float16, torch.bfloat16)
_ROWS, _D = 448, 96  # seven blocks, three tiles of the kernel on a side
_NEAREST = 6


@cache
def kernel_state(device: torch.device, dtype: torch.dtype) -> KernelState:
    """Test the kernel; the answer is kept for the process."""
    return try_kernel(f"search {str(dtype).removeprefix('torch.')}", device, partial(kernel_error, dtype=dtype))


def kernel_error(device: torch.device, dtype: torch.dtype) -> str | None:
    """The error of the kernel on random rows; None if there is none."""
    for by_code in (False, True):
        strip = _strip(device, dtype, by_code=by_code)
        pool = Pool.of(_ROWS**2, device)
        append(strip, pool)
        count = int(pool.count[0])
        if not 0 < count <= pool.capacity:
            return f"{count} pairs listed"
        wrong = _compare(strip, *(part[:count].cpu() for part in (pool.rows, pool.columns, pool.values)))
        if wrong is not None:
            return wrong
    return None


def _strip(device: torch.device, dtype: torch.dtype, *, by_code: bool) -> Strip:
    """A strip of random rows, of which every row reaches about `_NEAREST` others."""
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(_ROWS, _D, generator=generator)
    given *= scale_below(float(torch.linalg.vector_norm(given, dim=1).max()))
    ids = torch.arange(_ROWS, device=device)
    stored = StoredRows(given.numpy())
    encoding = choose_encoding(given, dtype, device)
    layout = lay_out(ids, [_ROWS // 2 - 30, _ROWS - 60, _ROWS])
    codes = layout.ids // 3
    side = encode_side(
        CentredRows(rows_on(stored, device), torch.zeros(_D, device=device), 1.0),
        layout,
        codes,
        encoding,
        resident=True,
    )
    prefixes = Prefixes(layout.slot_prefixes, layout.slot_prefixes, 3)
    search = Search(side, side, prefixes, not by_code, 1, _ROWS, strips=True, fused=True)
    exact = torch.cdist(given.double(), given.double())
    limits = exact.kthvalue(_NEAREST, dim=1).values.float()[layout.ids.cpu().clamp(min=0)].to(device)
    limits = torch.stack([limits, limits * 1.05, limits * 1.1], dim=1).masked_fill(layout.ids[:, None] < 0, -1.0)
    reach = reach_of(limits, side.errors)
    whole = slice(0, layout.slots)
    return Strip(search, whole, whole, left_columns(search, whole), side.right(whole), reach, reach)


def _compare(strip: Strip, row: Tensor, column: Tensor, values: Tensor) -> str | None:
    """The first difference of the listed pairs to what float64 products allow and require."""
    search, side, encoding = strip.search, strip.search.database, strip.search.database.encoding
    ids = side.layout.ids.cpu()
    right = side.right(strip.columns).cpu().double()
    left = left_columns(search, strip.rows).cpu().double()
    there = (ids >= 0)[:, None] & (ids >= 0)
    exact = torch.where(there, left.nan_to_num(posinf=0.0) @ right.nan_to_num(posinf=0.0).T, torch.inf)
    norms = side.norms.cpu().double()
    slack = encoding.gamma * (norms[:, None] + norms) ** 2 / 2 + encoding.absolute
    if not bool(((values.double() - exact[row, column]).abs() <= slack[row, column]).all()):
        return "a product is beyond its error bound"
    codes = side.codes.cpu()
    admissible = codes[:, None] != codes if strip.by_code else ~torch.eye(len(codes), dtype=torch.bool)
    listed = torch.zeros_like(exact, dtype=torch.int64)
    listed.view(-1).index_add_(0, row.long() * len(ids) + column.long(), torch.ones_like(row, dtype=torch.int64))
    if bool((listed > admissible.long()).any()):
        return "a pair is listed twice, or is excluded"
    prefix = side.layout.slot_prefixes.cpu()
    reach = strip.row_reach.cpu().double()
    reach = reach.gather(1, torch.maximum(prefix[:, None], prefix))
    nearest = (2 * exact).clamp(min=0).sqrt() <= reach
    if bool((nearest & admissible & there & (reach >= 0) & (listed == 0)).any()):
        return "a pair within reach is missing"
    return None
