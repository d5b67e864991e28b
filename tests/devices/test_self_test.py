"""The self-test of the kernel: what it accepts, what it refuses, and what a refusal changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.devices.kernel import kernel_on, scan_by_torch
from tests.devices.pretend import DEVICE, PretendGpu
from workers.devices import kernels
from workers.energy import self_test as energy_self_test
from workers.energy.tile_scan import Products, Scan
from workers.flows.energy.report import _kernel_notices
from workers.flows.radius.account import kernel_reason
from workers.flows.radius.notices import kernel_notices
from workers.neighbors import appending
from workers.neighbors.appending import Rectangle, Strip
from workers.neighbors.encoding import TENSOR_CORES, Encoding, tensor_core_units
from workers.neighbors.pool import Pool
from workers.neighbors.self_test import kernel_error, kernel_state
from workers.probe import probe_kernel
from workers.reporting import reporter

FORMATS = [torch.float16, torch.bfloat16]
Kernel = Callable[[Strip, Rectangle, Pool], None]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The state of a kernel is kept for a process."""
    forget = [kernel_state.cache_clear, energy_self_test.scan_state.cache_clear, kernels.PASSED.clear]
    for each in forget:
        each()
    yield
    for each in forget:
        each()


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_right_kernel_is_used(dtype: torch.dtype):
    with PretendGpu() as gpu, kernel_on(gpu):
        assert kernel_error(DEVICE, dtype) is None


def wrong_product(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    before = int(pool.count[0])
    appending.append_plain(strip, rectangle, pool)
    pool.values[before : int(pool.count[0])] *= 1.02


def forgetful(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    appending.append_plain(strip, rectangle, pool)
    pool.count[0] -= 1


def repeating(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    for _ in range(2):
        appending.append_plain(strip, rectangle, pool)


def silent(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    return


def crashing(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    raise RuntimeError("Failed to find C compiler")


@pytest.mark.parametrize("kernel", [wrong_product, forgetful, repeating, silent, crashing])
def test_a_wrong_kernel_is_refused_and_the_report_says_so(kernel: Kernel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    with PretendGpu(), patch.object(appending, "append_fused", kernel):
        state = kernel_state(DEVICE, torch.float16)
        assert not state.fused
        assert state.reason
        (notice,) = kernel_notices(kernel_reason(DEVICE, torch.float16))
        assert state.reason in notice.message
        assert probe_kernel(DEVICE)["ok"] is False


def test_an_old_gpu_and_one_without_triton_do_without(monkeypatch: pytest.MonkeyPatch):
    with PretendGpu(capability=(7, 5)):
        assert "8.0" in kernel_state(DEVICE, torch.float16).reason
    kernel_state.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with PretendGpu():
        assert "Triton" in kernel_state(DEVICE, torch.float16).reason
    assert kernel_notices(kernel_reason(torch.device("cpu"), torch.bfloat16)) == []


def tensor_core_sum(a: np.ndarray, b: np.ndarray, step: tuple[int, int]) -> np.ndarray:
    """(m,) sums of products as tensor cores compute them: aligned to the largest of a step, truncated."""
    products, bits = step
    total = np.zeros(len(a))
    for start in range(0, a.shape[1], products):
        terms = np.column_stack([total, a[:, start : start + products] * b[:, start : start + products]])
        unit = 2.0 ** (np.floor(np.log2(np.abs(terms).max(axis=1), where=True)) - bits)[:, None]
        exact = np.trunc(terms / unit).sum(axis=1) * unit[:, 0]
        total = np.trunc(exact / np.spacing(np.abs(exact).astype(np.float32)).astype(float))
        total *= np.spacing(np.abs(exact).astype(np.float32)).astype(float)
    return total


@pytest.mark.parametrize("step", TENSOR_CORES.values(), ids=list(TENSOR_CORES))
def test_sums_of_tensor_cores_are_within_the_derived_constant(step: tuple[int, int]):
    chance, k = np.random.default_rng(0), 1088
    signed = chance.standard_normal((400, k)).astype(np.float16).astype(float)
    lost, other = np.full((1, k), 2.0**-12), np.full((1, k), 2.0 ** (12 - step[1]) * (1 - 2.0**-10))
    lost[0, 0] = other[0, 0] = 1.0  # beside which every other product is truncated to 0
    data: list[tuple[Any, Any]] = [(signed, signed[::-1]), (np.abs(signed), np.abs(signed[::-1])), (lost, other)]
    share = 0.0
    for a, b in data:
        error = np.abs(tensor_core_sum(a, b, step) - (a * b).sum(axis=1))
        bound = tensor_core_units(step) * k * 2.0**-24 * np.abs(a * b).sum(axis=1)
        share = max(share, float((error / bound).max()))
    assert 0.7 < share <= 1  # a constant of 0.7 times this one would not do


def test_the_bound_of_a_gpu_covers_every_tensor_core_that_is_used():
    encoding = Encoding(1024, torch.float16, torch.empty(0, dtype=torch.int64), DEVICE)
    assert encoding.columns % 64 == 0
    assert encoding.gamma >= max(map(tensor_core_units, TENSOR_CORES.values())) * encoding.columns * 2.0**-24


def wrong_sums(each: Scan, products: Products) -> None:
    scan_by_torch(each, products)
    each.sums.sums *= 1.001


def wrong_minimum(each: Scan, products: Products) -> None:
    scan_by_torch(each, products)
    each.sums.least -= 0.001


def wrong_bounds(each: Scan, products: Products) -> None:
    scan_by_torch(each, products)
    each.near.best *= 1.001


def lost_pair(each: Scan, products: Products) -> None:
    scan_by_torch(each, products)
    assert each.near.pool is not None
    each.near.pool.count.sub_(1)


def wrong_query(each: Scan, products: Products) -> None:
    scan_by_torch(each, products)
    assert each.near.pool is not None
    each.near.pool.queries[0] = 5


def unfinished(each: Scan, products: Products) -> None:
    return


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (scan_by_torch, None),
        (wrong_sums, "a sum is beyond its error bound"),
        (wrong_minimum, "a minimum differs"),
        (wrong_bounds, "an upper bound differs"),
        (lost_pair, "pairs are listed by one of both"),
        (wrong_query, "pairs are listed by one of both"),
        (unfinished, "a minimum differs"),
    ],
)
def test_a_scan_that_differs_from_torch_is_not_used(
    kernel: Callable[[Scan, Products], None], reason: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(energy_self_test, "scan_fused", kernel)
    found = energy_self_test.scan_error(torch.device("cpu"))
    assert found is None if reason is None else (found or "").endswith(reason)


@pytest.mark.parametrize(("capability", "reason"), [((7, 5), "compute capability below 8.0"), ((9, 0), "Triton")])
def test_a_gpu_without_the_kernel_says_why(capability: tuple[int, int], reason: str):
    with PretendGpu(capability=capability):
        state = energy_self_test.scan_state(DEVICE)
    assert (state.fused, state.reason.startswith(reason)) == (False, True)


@pytest.mark.parametrize(
    ("kernel", "warned", "passed"),
    [(scan_by_torch, [], True), (wrong_sums, ["a sum is beyond its error bound"], False)],
)
def test_an_energy_report_and_the_worker_say_whether_the_kernel_passed(
    kernel: Callable[[Scan, Products], None], warned: list[str], passed: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(energy_self_test, "scan_fused", kernel)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    assert _kernel_notices(torch.device("cpu")) == []
    with PretendGpu():
        notices = _kernel_notices(DEVICE)
    assert [notice.code for notice in notices] == ["kernel_not_used"] * len(warned)
    assert all(reason in notice.message for reason, notice in zip(warned, notices, strict=True))
    assert {"energies": passed} == kernels.PASSED
    assert reporter("cpu", {})().kernels == {"energies": passed}
