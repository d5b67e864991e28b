"""The checks that `radius doctor` runs in a separate process: the devices, and a search on each. Prints JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import torch

from workers.devices.device import unused_gpu
from workers.energy.self_test import scan_state
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.faiss_index import faiss_version
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.self_test import KERNEL_FORMATS, kernel_state
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


def probe() -> list[dict[str, object]]:
    """All checks; on every device, because each has its own kernels."""
    found = [*probe_devices(), probe_search(torch.device("cpu"))]
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        found += [_guarded(device, check) for check in (probe_kernel, probe_search)]
    reason = unused_gpu()
    if reason is not None:
        found.append({"check": "gpu", "ok": False, "found": reason, "advice": "install a driver or a torch that fits"})
    return found


def _guarded(device: torch.device, check: Callable[[torch.device], dict[str, object]]) -> dict[str, object]:
    """A check whose crash is its finding: other devices are to be checked too."""
    try:
        return check(device)
    except Exception as error:
        name = check.__name__.removeprefix("probe_")
        advice = "run `python -m workers.probe` to see the whole error"
        return {"check": f"{name} on {device}", "ok": False, "found": type(error).__name__, "advice": advice}


def probe_kernel(device: torch.device) -> dict[str, object]:
    """The self-tests of the GPU's kernels; without them searches and energies are right, and slower."""
    states = {str(dtype).removeprefix("torch."): kernel_state(device, dtype) for dtype in KERNEL_FORMATS}
    states["energies"] = scan_state(device)
    found = ", ".join(f"{name}: {'passed' if each.fused else each.reason}" for name, each in states.items())
    ok = all(each.fused for each in states.values())
    advice = "" if ok else "searches, or energies, run without the kernel: right, and slower"
    return {"check": f"kernel on {device}", "ok": ok, "found": found, "advice": advice}


def probe_search(device: torch.device) -> dict[str, object]:
    """Nearest neighbours of 100 vectors by the product's engine, compared with the float64 reference."""
    rows = np.random.default_rng(0).standard_normal((100, 16)).astype(np.float32)
    began = time.perf_counter()
    question = Question(StoredRows(rows), seeded_permutation(100, 0), [100])
    found, _ = exact_neighbors(question, SearchOptions(device))
    distances, ids = nearest_reference(rows)
    right = bool(
        (found[0].ids == ids[found[0].rows]).all() and np.allclose(found[0].distances, distances[found[0].rows])
    )
    took = time.perf_counter() - began
    advice = "" if right else "torch multiplies wrongly on this device; reinstall it"
    on = "" if device.type == "cpu" else f" on {device}"
    return {
        "check": f"search of 100 vectors{on}",
        "ok": right,
        "found": f"faiss {faiss_version()}, {took * 1000:.0f} ms, equal to the reference: {right}",
        "advice": advice,
    }


if __name__ == "__main__":
    print(json.dumps(probe()))
