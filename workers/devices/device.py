"""Choosing and describing a torch device."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch
from torch import distributed

from service.errors import InvalidInput
from service.estimates.shards import GPU_BATCH_TOKENS

CPU = torch.device("cpu")
_DRIVER = Path("/dev/nvidiactl")


def choose_device(name: str) -> torch.device:
    """`auto` (the first GPU, or this rank's under `torchrun`; else the CPU), `cpu` or `cuda:N`.

    Raises:
        InvalidInput: the name is not of this form, or the machine has no such device.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return CPU
        return torch.device("cuda", distributed.get_node_local_rank(0))  # pyright: ignore[reportPrivateImportUsage]
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidInput("a device is auto, cpu or cuda:N", field="device") from error
    if device.type not in ("cpu", "cuda"):
        raise InvalidInput("a device is auto, cpu or cuda:N", field="device")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInput(f"this machine has {torch.cuda.device_count()} CUDA devices", field="device")
    return device


def use_device(device: torch.device) -> None:
    """Make a GPU the current device of this thread: launches, pinned memory and synchronisation go to that one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def unused_gpu() -> str | None:
    """Why `auto` takes the CPU on a machine with a GPU; None where it does not."""
    if torch.cuda.is_available() or not _DRIVER.exists():
        return None
    if torch.version.cuda is None:
        return "this machine has an NVIDIA GPU, and torch is built for CPUs"
    return f"the NVIDIA driver does not serve torch's CUDA {torch.version.cuda}: it is too old, or sees no card"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16: GPUs in hardware from capability 8.0; a CPU where it is measured to."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)


def set_precise_float32(threads: int = 0) -> None:
    """Disable TF32 and reduced-precision sums; use `threads` CPU threads (0: torch's default)."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    if threads:
        torch.set_num_threads(threads)


def default_batch_tokens(device: torch.device) -> int:
    """Tokens of one forward pass: few for the caches of a CPU (1,024 are a tenth faster than 4,096), many for a GPU."""
    return GPU_BATCH_TOKENS if device.type == "cuda" else 1_024


def describe_device(device: torch.device) -> dict[str, str | int]:
    """The device and the CPU threads, as a `provenance` block records them."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads(), "cores": os.cpu_count() or 1}
