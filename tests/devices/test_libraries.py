"""What FAISS, torch's process groups and the caches of compiled kernels are told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed

from service.contracts.training import OpenELMSpec
from workers.flows.training import trainers
from workers.flows.training.trainers import micro_batch
from workers.neighbors import faiss_index
from workers.neighbors.faiss_index import make_index
from workers.training import ranks

CPU, SECOND = torch.device("cpu"), torch.device("cuda", 1)


def test_faiss_uses_the_workers_device_only_and_one_set_of_resources(monkeypatch: pytest.MonkeyPatch):
    moved: list[tuple[object, int]] = []

    def to_gpu(resources: object, number: int, index: Any) -> Any:
        moved.append((resources, number))
        return index

    monkeypatch.setattr(faiss_index.faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss_index.faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    monkeypatch.setattr(faiss_index.faiss, "get_num_gpus", lambda: 8)
    faiss_index._gpu_resources.cache_clear()
    rows = np.zeros((50, 4), dtype=np.float32)
    make_index("faiss-flat", rows, CPU)
    assert moved == []
    make_index("faiss-flat", rows, SECOND)
    make_index("faiss-ivf", rows, SECOND)
    make_index("faiss-hnsw", rows, SECOND)
    assert [number for _, number in moved] == [1, 1]
    assert moved[0][0] is moved[1][0]
    faiss_index._gpu_resources.cache_clear()


def test_messages_wait_for_years_and_gradients_for_minutes(monkeypatch: pytest.MonkeyPatch):
    made: dict[str, timedelta] = {}
    monkeypatch.setattr(distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(distributed, "get_node_local_rank", lambda _: 0)
    monkeypatch.setattr(distributed, "init_process_group", lambda backend, timeout: made.update({backend: timeout}))
    monkeypatch.setattr(distributed, "new_group", lambda backend, timeout: made.update({backend: timeout}) or "nccl")
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    ranks.own_ranks.cache_clear()
    found = ranks.own_ranks()
    ranks.own_ranks.cache_clear()
    assert (found.rank, found.world, found.gradients) == (1, 2, "nccl")
    assert made["gloo"] > timedelta(days=365)
    assert made["nccl"] <= timedelta(minutes=10)


def test_the_image_keeps_compiled_kernels_on_the_data_volume():
    text = (Path(__file__).parents[2] / "docker" / "Dockerfile").read_text()
    for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        assert f"{name}=/data/cache/" in text


def test_a_gpu_trains_on_as_much_of_a_batch_as_its_memory_holds(monkeypatch: pytest.MonkeyPatch):
    spec = OpenELMSpec.model_construct(batch=256, micro_batch=None)
    object.__setattr__(spec, "model", type("Model", (), {"d_model": 512, "d_mlp": (1024,) * 8, "n_ctx": 256}))
    assert micro_batch(spec, CPU) == 256
    for free, expected in ((2**40, 256), (2**33, 28), (2**20, 1)):
        monkeypatch.setattr(trainers, "free_bytes", lambda _, free=free: free)
        assert micro_batch(spec, SECOND) == expected
    given = spec.model_copy(update={"micro_batch": 8})
    assert micro_batch(given, SECOND) == 8
