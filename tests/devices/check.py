"""`make gpu-check`: what can be said of the GPU path on this machine, as lines of JSON; six minutes, no network.

Without a GPU: the kernel compiled ahead of time, under Triton's interpreter, and searches on a pretend GPU. With one:
the self-test, correctness against float64, speed, exhausted memory, a lost device, one whole job. Each section is a
process of its own with a limit, so that a crash or a hang is one line: {"section", "ok", "seconds", "found"}.

    python -m tests.devices.check            all sections that this machine can run
    python -m tests.devices.check speed      one of them, in this process
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from service.processes import module_command
from tests.own_modules import run_own_module
from workers.devices.health import is_alive
from workers.energy.self_test import scan_state
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.self_test import KERNEL_FORMATS, kernel_state
from workers.neighbors.stored import StoredRows

Array = np.ndarray
Found = dict[str, Any]
DEVICE = torch.device("cuda", 0)
_TERAFLOP = 1e12


def rows_of(n: int, d: int, kind: str) -> Array:
    """Random rows: `gaussian`, or `activations`, with a far offset, massive dimensions and clusters."""
    chance = np.random.default_rng(0)
    rows = chance.standard_normal((n, d), dtype=np.float32)
    if kind == "activations":
        rows += 0.7 * np.repeat(chance.standard_normal((n // 50 + 1, d), dtype=np.float32), 50, axis=0)[:n]
        rows[:, :3] *= 300
        rows += 10
    return rows


def search(rows: Array, options: SearchOptions) -> tuple[Any, float]:
    """The answer, and the seconds of a search of all rows and three fractions; the rows may be there already."""
    n = len(rows)
    question = Question(StoredRows(rows), np.random.default_rng(1).permutation(n), [n // 4, n // 2, 3 * n // 4, n])
    began = time.perf_counter()
    found = exact_neighbors(question, options)
    first = time.perf_counter() - began
    began = time.perf_counter()
    exact_neighbors(question, options)
    return found, min(first, time.perf_counter() - began)


def kernels() -> Found:
    """The kernels' resources by architecture."""
    from tests.devices.ahead import ARCHITECTURES, compile_all

    found = [each for architecture in ARCHITECTURES for each in compile_all(architecture)]
    return {"ok": all(each["stack"] <= 8 for each in found), "kernels": found}


def self_test() -> Found:
    """The kernel of searches in every format against float64, and that of energies against torch."""
    states = {str(dtype): asdict(kernel_state(DEVICE, dtype)) for dtype in KERNEL_FORMATS}
    states["energies"] = asdict(scan_state(DEVICE))
    return {"ok": all(state["fused"] for state in states.values()), "kernels": states}


def correctness() -> Found:
    """Searches of 20,000 rows by every format, with and without the kernel, against float64 on the device."""
    wrong: dict[str, int] = {}
    for kind in ("gaussian", "activations"):
        rows = rows_of(20_000, 512, kind)
        there = torch.from_numpy(rows).to(DEVICE).double()
        nearest = []
        for part in there.split(500):
            gaps = torch.cdist(part, there, compute_mode="donot_use_mm_for_euclid_dist")
            gaps[torch.arange(len(part)), len(nearest) * 500 + torch.arange(len(part))] = torch.inf
            nearest.append(gaps.amin(dim=1))
        expected = torch.cat(nearest).cpu().numpy()
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            for fused in {False, dtype != torch.float32}:
                (found, _), _ = search(rows, SearchOptions(DEVICE, dtype, fused=fused))
                whole = found[-1]
                different = ~np.isclose(whole.distances[:, 0], expected[whole.rows], rtol=1e-12)
                wrong[f"{kind} {dtype} fused={fused}"] = int(different.sum())
    return {"ok": not any(wrong.values()), "wrong": wrong}


def speed() -> Found:
    """Seconds of searches beside the time of half of all products at the measured rate of the tensor cores."""
    a = torch.randn(8192, 8192, device=DEVICE, dtype=torch.float16)
    rate = 2 * 8192**3 / _seconds(lambda: a @ a)
    found: Found = {"ok": True, "fp16_tflops": rate / _TERAFLOP}
    for n in (80_000, 1_000_000):
        rows = rows_of(n, 1024, "gaussian")
        (_, work), seconds = search(rows, SearchOptions(DEVICE))
        limit = n**2 / 2 * 2 * 1024 / rate
        found[f"n={n}"] = {"seconds": seconds, "limit_s": limit, "share": limit / seconds, "format": work.format}
    few = torch.randn(16_384, 1024, device=DEVICE)
    tiled = _seconds(lambda: torch.cdist(few, few).amin(dim=1)) * (1_000_000 / 16_384) ** 2
    found["torch_float32_1m_s"] = tiled
    return found


def _seconds(act: Callable[[], object]) -> float:
    taken = []
    for _ in range(4):
        torch.cuda.synchronize(DEVICE)
        began = time.perf_counter()
        act()
        torch.cuda.synchronize(DEVICE)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def memory() -> Found:
    """A search in ever less memory: the same answer, or the typed error."""
    rows = rows_of(60_000, 512, "gaussian")
    (expected, _), _ = search(rows, SearchOptions(DEVICE))
    whole, found = torch.cuda.get_device_properties(DEVICE).total_memory, {}
    for megabytes in (1000, 500, 250, 125, 60):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(megabytes * 2**20 / whole, DEVICE)
        try:
            (answer, _), _ = search(rows, SearchOptions(DEVICE))
            found[megabytes] = "right" if (answer[-1].ids == expected[-1].ids).all() else "wrong"
        except Exception as error:
            found[megabytes] = type(error).__name__
    return {"ok": set(found.values()) <= {"right", "OutOfMemory"}, "by_megabytes": found}


def poisoned() -> Found:
    """A device-side assertion: the device is found to be lost. The process ends with it."""
    before = is_alive(DEVICE)
    try:
        torch.ones(2, device=DEVICE)[torch.tensor([5], device=DEVICE)].sum().item()
    except Exception as error:
        return {"ok": before and not is_alive(DEVICE), "error": type(error).__name__}
    return {"ok": False, "error": None}


def job() -> Found:
    """The demo: training, extraction, radius, energies, report, by a service with a worker on the GPU."""
    command = module_command("service.cli", "demo", "--json")
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RADIUS_DEVICE": "cuda:0"})
    return {"ok": done.returncode == 0, "end": (done.stdout if done.returncode == 0 else done.stderr)[-500:]}


def _tests(*paths: str, interpret: bool = False) -> Callable[[], Found]:
    def run() -> Found:
        environment = os.environ | ({"TRITON_INTERPRET": "1"} if interpret else {})
        done = subprocess.run(module_command("pytest", *paths), capture_output=True, text=True, env=environment)
        return {"ok": done.returncode == 0, "end": done.stdout[-300:]}

    return run


KERNEL_TESTS = ("tests/neighbors/test_strip_kernel.py", "tests/energy/test_scan_kernel.py")
WITHOUT = {
    "kernels": (kernels, 200),
    "interpreter": (_tests(*KERNEL_TESTS, "-k", "not architecture", interpret=True), 300),
    "pretend": (_tests("tests/devices"), 120),
}
WITH = {
    "self_test": (self_test, 60),
    "correctness": (correctness, 60),
    "speed": (speed, 100),
    "memory": (memory, 40),
    "poisoned": (poisoned, 20),
    "job": (job, 120),
}


def main() -> int:
    """Run all sections that this machine can run; returns 1 if one of them failed."""
    if len(sys.argv) > 1:
        section, _ = (WITHOUT | WITH)[sys.argv[1]]
        print(json.dumps(section()))
        return 0
    failed = 0
    for name, (_, limit_s) in (WITH if torch.cuda.is_available() else WITHOUT).items():
        began = time.perf_counter()
        try:
            done = run_own_module("tests.devices.check", name, timeout_s=limit_s)
            found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"error": done.stderr[-500:]}
        except subprocess.TimeoutExpired:
            found = {"error": f"no answer within {limit_s} s"}
        ok = found.pop("ok", False)
        failed += not ok
        line = {"section": name, "ok": ok, "seconds": round(time.perf_counter() - began, 1), "found": found}
        print(json.dumps(line), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
