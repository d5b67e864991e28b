"""The Triton kernel: by Triton's interpreter on the CPU, and compiled ahead of time for GPUs (`make test-fused`)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD
from tests.neighbors.engines import FRACTIONS, assert_equals_reference
from tests.own_modules import run_own_module
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.self_test import kernel_error
from workers.neighbors.stored import StoredRows

pytestmark = [
    pytest.mark.triton,
    # Rows beyond the edge are loaded as zeros, and zero times an empty slot's infinity is masked out afterwards.
    pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning"),
]
CPU = torch.device("cpu")
ARCHITECTURES = (80, 86, 90, 100)
MOST_SHARED = {80: 163, 86: 99, 90: 227, 100: 227}  # KiB of a program


@pytest.fixture
def right_bfloat16() -> Iterator[None]:
    """Let the interpreter multiply bfloat16 numbers; it multiplies their bits, as if they were integers."""
    from triton.runtime.interpreter import InterpreterBuilder  # pyright: ignore[reportMissingImports]

    def create_dot(self: Any, a: Any, b: Any, d: Any, *others: Any) -> Any:
        for handle in (a, b):
            if handle.data.dtype == np.uint16:
                wide = handle.data.astype(np.uint32) << 16
                handle.data = wide.view(np.float32)
        return type(d)(np.matmul(a.data, b.data, dtype=np.float32) + d.data, d.dtype.scalar)

    with patch.object(InterpreterBuilder, "create_dot", create_dot):
        yield


def test_the_self_test_accepts_fp16():
    assert kernel_error(CPU, torch.float16) is None


def test_the_self_test_refuses_a_kernel_that_multiplies_wrongly():
    assert kernel_error(CPU, torch.bfloat16) is not None  # as the interpreter does


@pytest.mark.usefixtures("right_bfloat16")
def test_the_self_test_accepts_bfloat16_products():
    assert kernel_error(CPU, torch.bfloat16) is None


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("documents_of", [1, 7])
def test_the_engine_with_the_kernel_equals_the_reference(make: Callable[[], np.ndarray], documents_of: int):
    rows = make()
    order, sizes = seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS)
    documents = None if documents_of == 1 else np.arange(len(rows)) // documents_of
    options = SearchOptions(format=torch.float16, tile=192, fused=True, strips=True)
    found, work = exact_neighbors(Question(StoredRows(rows), order, sizes, 2, documents), options)
    assert work.fused
    for part in found:
        assert_equals_reference(part, rows, 2, documents)


@pytest.fixture(scope="module")
def compiled() -> list[dict[str, Any]]:
    """The kernel as compiled for every architecture, by a process in which Triton does not interpret."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = run_own_module("tests.devices.ahead", environment=environment)
    done.check_returncode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_runs_it_on_tensor_cores_without_spills(compiled: list[dict], architecture: int):
    found = [each for each in compiled if (each["kernel"], each["architecture"]) == ("strips", architecture)]
    assert {each["format"] for each in found} == {"fp16", "bf16"}
    for each in found:
        assert each["registers"] <= 255
        assert each["stack"] == 0
        assert each["local"] == 0
        assert each["shared"] <= MOST_SHARED[architecture] * 1024
        assert each["tensor_core_instructions"] > 0
