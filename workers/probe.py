"""The checks that `radius doctor` runs in a separate process: the devices, and a search of 100 vectors. Prints JSON."""

from __future__ import annotations

import json
import time

import numpy as np
import torch

from workers.neighbors.exact import exact_neighbors
from workers.neighbors.faiss_index import faiss_version
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.stored import StoredRows


def probe_devices() -> list[dict[str, object]]:
    """The CPU, and each CUDA device that multiplies two matrices."""
    found: list[dict[str, object]] = [
        {"check": "device cpu", "ok": True, "found": f"{torch.get_num_threads()} threads", "advice": ""}
    ]
    for index in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(index)
        try:
            ones = torch.ones(64, 64, device=f"cuda:{index}")
            ok = bool((ones @ ones == 64).all())
        except RuntimeError:
            ok = False
        advice = "" if ok else "the driver or this torch build does not fit the card"
        found.append({"check": f"device cuda:{index}", "ok": ok, "found": name, "advice": advice})
    return found


def probe_search() -> dict[str, object]:
    """Nearest neighbours of 100 vectors by the product's engine, compared with the float64 reference."""
    rows = np.random.default_rng(0).standard_normal((100, 16)).astype(np.float32)
    began = time.perf_counter()
    found, _ = exact_neighbors(Question(StoredRows(rows), seeded_permutation(100, 0), [100]))
    distances, ids = nearest_reference(rows)
    right = bool(
        (found[0].ids == ids[found[0].rows]).all() and np.allclose(found[0].distances, distances[found[0].rows])
    )
    took = time.perf_counter() - began
    advice = "" if right else "torch multiplies wrongly on this machine; reinstall it"
    return {
        "check": "search of 100 vectors",
        "ok": right,
        "found": f"faiss {faiss_version()}, {took * 1000:.0f} ms, equal to the reference: {right}",
        "advice": advice,
    }


if __name__ == "__main__":
    print(json.dumps([*probe_devices(), probe_search()]))
