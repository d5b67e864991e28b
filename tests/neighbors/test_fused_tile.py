"""The Triton kernel, run by Triton's interpreter on the CPU: `make test-fused` (not collected without Triton)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD
from tests.neighbors.engines import FRACTIONS, assert_equals_reference
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

pytestmark = [
    pytest.mark.triton,
    # Rows beyond the edge are loaded as zeros, and zero times an empty slot's infinity is masked out afterwards.
    pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning"),
]


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize(
    ("m", "n", "columns", "width"), [(64, 64, 32, 64), (192, 320, 64, 64), (128, 448, 96, 64), (192, 128, 32, 8)]
)
def test_minima_and_cells_are_those_of_the_whole_tile(dtype: torch.dtype, m: int, n: int, columns: int, width: int):
    from workers.neighbors.fused_tile import FusedTile

    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(rows, columns, generator=generator).to(dtype) for rows in (m, n))
    codes = torch.arange(m) // 3, torch.arange(n) // 3
    tile = FusedTile(left, right, codes, width)
    whole = (left.double() @ right.double().T).float().masked_fill(codes[0][:, None] == codes[1], 1e38)
    assert_close(tile.along_rows(), whole.view(m, -1, width).amin(dim=2))
    assert_close(tile.along_columns(), whole.view(-1, width, n).amin(dim=1).T)
    at, block = torch.arange(m), torch.arange(m) % (n // BLOCK)
    assert_close(tile.cells_of_rows(at, block), whole.view(m, -1, BLOCK)[at, block])
    at, block = torch.arange(n), torch.arange(n) % (m // BLOCK)
    assert_close(tile.cells_of_columns(at, block), whole.T.reshape(n, -1, BLOCK)[at, block])


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_the_engine_with_fused_tiles_equals_the_reference(make: Callable[[], np.ndarray]):
    rows = make()
    order, sizes = seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS)
    documents = np.arange(len(rows)) // 7
    options = SearchOptions(format=torch.float16, tile=192, fused=True)
    found, work = exact_neighbors(Question(StoredRows(rows), order, sizes, 2, documents), options)
    assert work.fused
    for part in found:
        assert_equals_reference(part, rows, 2, documents)
