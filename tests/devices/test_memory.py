"""Exhausted memory in all its forms, a lost device, and the current device of a segment's thread."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from service.errors import NonFiniteData, OutOfMemory
from tests.databases.soak import first
from tests.devices.pretend import DEVICE, PretendGpu
from workers.devices import device as devices
from workers.devices.backoff import map_halving
from workers.devices.device import has_bfloat16, unused_gpu, use_device
from workers.devices.health import is_alive
from workers.devices.memory import cached_until_other_work, free_memory, memory_errors_typed, release_caches
from workers.flows.engine import execution

FORMS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    RuntimeError(
        "Error in virtual void* faiss::gpu::StandardGpuResourcesImpl::allocMemory: cudaMalloc error out of memory"
    ),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]


@pytest.mark.parametrize("error", first(2, FORMS), ids=lambda error: str(error)[:30])
def test_every_form_of_exhausted_memory_is_one_error(error: Exception):
    with pytest.raises(OutOfMemory, match="exhausted"), memory_errors_typed():
        raise error

    def run(items: Sequence[int]) -> list[int]:
        if len(items) > 1:
            raise error
        return list(items)

    assert map_halving(run, [1, 2, 3]) == [[1], [2], [3]]


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: device-side assert triggered"), NonFiniteData("nan")])
def test_other_errors_stay_what_they_are(error: Exception):
    with pytest.raises(type(error), match=str(error)), memory_errors_typed():
        raise error


def lost(*_: object, **__: object) -> Any:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_memory_of_a_lost_device_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lost)
    free_memory()


def test_a_device_is_alive_while_it_computes(monkeypatch: pytest.MonkeyPatch):
    assert is_alive(torch.device("cpu"))
    with PretendGpu():
        assert is_alive(DEVICE)
        monkeypatch.setattr(torch, "ones", lost)
        assert not is_alive(DEVICE)


class Ended(BaseException):
    """What `os._exit` is in a test."""


@pytest.mark.parametrize("alive", [True, False])
def test_a_worker_whose_device_is_lost_ends_without_a_result(monkeypatch: pytest.MonkeyPatch, alive: bool):
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(execution, "is_alive", lambda _: alive)
    monkeypatch.setattr(execution.os, "_exit", end)
    monkeypatch.setattr(execution.logging, "shutdown", lambda: None)
    current: Any = SimpleNamespace(settings=SimpleNamespace(device="cpu"))
    with pytest.raises(RuntimeError if alive else Ended), execution._lost_device_ends(current):
        lost()
    assert codes == ([] if alive else [execution.DEVICE_LOST])


def test_a_segments_thread_uses_the_workers_device():
    with PretendGpu() as gpu:
        use_device(torch.device("cpu"))
        assert gpu.current == []
        use_device(torch.device("cuda", 3))
        assert gpu.current == [3]


def test_a_cache_is_released_when_other_work_begins():
    released: list[int] = []
    cached_until_other_work(lambda: released.append(1))
    for kind, times in (("extract", 1), ("extract", 1), ("search", 2), ("extract", 3)):
        release_caches(kind)
        assert len(released) == times


def test_bfloat16_is_chosen_by_capability():
    for capability, expected in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        with PretendGpu(capability=capability):
            assert has_bfloat16(DEVICE) is expected
    assert has_bfloat16(torch.device("cpu"))


def test_a_gpu_that_torch_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "nvidiactl")
    assert unused_gpu() is None
    (tmp_path / "nvidiactl").touch()
    assert "built for CPUs" in str(unused_gpu())
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "too old" in str(unused_gpu())
