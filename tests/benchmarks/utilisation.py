"""Training steps of the paper's first model against the rate of one plain product on the same device, in the same run.

`python -m tests.benchmarks utilisation`: on a GPU `paper/f3-40m` at its batch of 480 windows of 1,024 tokens, bfloat16
autocast; on a CPU a tenth of its width and 8 windows of 128 in float32, to see that the benchmark runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from service.contracts.specs import read_spec
from service.contracts.training import OpenELMSpec
from service.estimates.shapes import GPT2_VOCABULARY, run_tokens, training_shape
from tests.benchmarks.results import keep
from tests.benchmarks.training import write_random_tokens
from workers.devices.device import choose_device, describe_device
from workers.flows.training.trainers import config_of
from workers.training.loop import Trainer
from workers.training.windows import WindowTask

TOKENS, WARM_UP, STEPS, PRODUCTS = 5_000_000, 3, 7, 20
_ON_A_CPU: dict[str, Any] = {
    "batch": 8,
    "micro_batch": 4,
    "model": {"d_model": 96, "n_ctx": 128, "d_mlp": [96, 128, 128, 160, 160, 192, 192, 224], "d_head": 8},
}


def main() -> None:
    """On a GPU with and without `compile`; `results/utilisation.json` keeps both."""
    device = choose_device("auto")
    on_gpu = device.type == "cuda"
    rate = _product_rate(device, 8192 if on_gpu else 1024, torch.bfloat16 if on_gpu else torch.float32)
    device_told = describe_device(device)
    print(f"{device_told['name']}: one product {rate / 1e12:.3g} TFLOP/s")
    results: dict[str, Any] = {"device": device_told, "product_flops_per_s": rate}
    for compiled in (False, True) if on_gpu else (False,):
        found = _train(device, {} if on_gpu else _ON_A_CPU, compiled)
        found["share_of_product"] = found["flops_per_s"] / rate
        results["compiled" if compiled else "eager"] = found
        print(
            f"compile {compiled}: {found['tokens_per_s']:,.0f} tokens/s, {found['flops_per_s'] / 1e12:.3g} TFLOP/s of "
            f"6N + causal attention, {found['share_of_product']:.1%} of the product's; {found['peak_gb']:.1f} GB"
        )
    if on_gpu:  # a CPU's figures say nothing of the paper's model
        keep("utilisation", results)


def _product_rate(device: torch.device, n: int, dtype: torch.dtype) -> float:
    """FLOPs per second of an n × n × n product, the median of some."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    seconds = _seconds(device, lambda: torch.matmul(a, b, out=out), WARM_UP, PRODUCTS)
    return 2 * n**3 / statistics.median(seconds)


def _train(device: torch.device, changes: dict[str, Any], compiled: bool) -> dict[str, Any]:
    spec = read_spec("training", {"preset": "paper/f3-40m", "compile": compiled} | changes)
    assert isinstance(spec, OpenELMSpec)
    with TemporaryDirectory() as name:
        write_random_tokens(Path(name), TOKENS, GPT2_VOCABULARY)
        spec = spec.model_copy(update={"data": spec.data.model_copy(update={"tokens": None})})
        task = WindowTask(spec, Path(name), device)
        if compiled:
            task.model.compile_blocks()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        trainer = Trainer(task, config_of(spec, device))
        seconds = _seconds(device, trainer.advance, WARM_UP, STEPS)
    (tokens, context), step_s = run_tokens(spec), statistics.median(seconds)
    flops = training_shape(spec, GPT2_VOCABULARY).training_flops(tokens, context)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
    return {"step_s": seconds, "tokens_per_s": tokens / step_s, "flops_per_s": flops / step_s, "peak_gb": peak}


def _seconds(device: torch.device, run: Callable[[], object], warm_up: int, rounds: int) -> list[float]:
    """Of each of some calls, the device's work included."""
    found = []
    for _ in range(warm_up + rounds):
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - began)
    return found[warm_up:]


if __name__ == "__main__":
    main()
