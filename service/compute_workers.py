"""The compute workers of one machine: a process for each device, among which its cores are shared out."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from service.artifacts.atomic import write_bytes
from service.errors import InvalidInput, StartFailed
from service.processes import module_command
from service.settings import Settings

_DEVICE = re.compile(r"cpu|cuda:(0|[1-9][0-9]{0,3})")
_ALL = "all"
_COUNT_S = 120.0
_MOST_ON_CPU = 4
_DRIVER = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class ComputeWorker:
    """One worker process of the role compute.

    Attributes:
        process: its name among the processes of this machine, and that of its log.
        settings: its own: device, worker name, threads.
        variables: what its environment has beside the settings.
    """

    process: str
    settings: Settings
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the database."""
        return f"compute-{self.settings.worker_name}"


def compute_workers(settings: Settings) -> list[ComputeWorker]:
    """A worker for each device of DEVICES; where that is empty, one on DEVICE.

    Raises:
        InvalidInput: DEVICES names a device that there is not, or one GPU twice.
        StartFailed: the GPUs cannot be counted.
    """
    devices = _existing(parse_devices(settings.devices))
    if not devices:
        return [ComputeWorker("compute", settings)]
    given = [{"devices": "", "device": device} for device in devices]
    if len(devices) == 1:
        return [ComputeWorker("compute", settings.model_copy(update=given[0]))]
    threads = settings.torch_threads or max(1, usable_cores() // len(devices))
    shared = settings.model_copy(update={"torch_threads": threads})
    return [
        ComputeWorker(
            f"compute-{number}",
            shared.model_copy(update=one | {"worker_name": f"{settings.worker_name}-{number}"}),
            {"OMP_NUM_THREADS": str(threads)},  # BLAS and FAISS obey it too
        )
        for number, one in enumerate(given)
    ]


def one_for_each_core(settings: Settings) -> Settings:
    """The settings with a compute worker for each core, up to 4, where nothing else is set and there is no GPU.

    For jobs of many small trainings: threads that share a small model wait for one another at every operation.
    """
    count = min(usable_cores(), _MOST_ON_CPU)
    on_cpu = settings.device == "cpu" or (settings.device == "auto" and not _DRIVER.exists())
    if settings.devices or not on_cpu or count < 2:
        return settings
    return settings.model_copy(update={"devices": ",".join(["cpu"] * count)})


def parse_devices(text: str) -> list[str]:
    """The devices of a list with commas; `all` stands for every GPU.

    Raises:
        InvalidInput: a name of another form, one GPU twice, or `all` among others.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == [_ALL]:
        return names
    for name in names:
        if name == _ALL:
            raise _refused(text, "`all` stands alone")
        if not _DEVICE.fullmatch(name):
            raise _refused(name, "a device is cpu or cuda:N; `all` alone is every GPU")
        if name != "cpu" and names.count(name) > 1:
            raise _refused(text, f"{name} is named more than once")
    return names


def usable_cores() -> int:
    """The cores that this process may use, by its affinity where the system has one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def record_names(settings: Settings, workers: list[ComputeWorker]) -> None:
    """Write the names of this machine's compute workers to a file, for health checks; one alone needs none."""
    if len(workers) > 1:
        write_bytes(_names_file(settings), json.dumps([worker.name for worker in workers]).encode())
    else:
        forget_names(settings)


def forget_names(settings: Settings) -> None:
    """Delete that file: this machine has one compute worker, with the name of the machine."""
    _names_file(settings).unlink(missing_ok=True)


def recorded_names(settings: Settings) -> list[str]:
    """The names in the database of this machine's compute workers, as they were started last."""
    try:
        return json.loads(_names_file(settings).read_bytes())
    except FileNotFoundError:
        return [ComputeWorker("compute", settings).name]


def _names_file(settings: Settings) -> Path:
    return settings.run_folder / f"compute-{settings.worker_name}.json"


def _existing(names: list[str]) -> list[str]:
    """These devices, of which every GPU is there; `all` is replaced."""
    if all(name == "cpu" for name in names):
        return names
    gpus, reason = _count_gpus()
    if names == [_ALL]:
        if gpus == 0:
            raise _refused(_ALL, reason or "torch sees no GPU")
        return [f"cuda:{index}" for index in range(gpus)]
    for name in names:
        if name != "cpu" and int(name.removeprefix("cuda:")) >= gpus:
            raise _refused(name, reason or f"torch sees {gpus} GPUs")
    return names


def _count_gpus() -> tuple[int, str]:
    """How many GPUs torch sees, counted in a process of its own, and why it sees none where there are some."""
    try:
        done = subprocess.run(
            module_command("workers.devices.count"), capture_output=True, timeout=_COUNT_S, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise StartFailed(f"counting the GPUs took more than {_COUNT_S:g} s") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise StartFailed("\n".join(["the GPUs cannot be counted:", *last])) from error
    found = json.loads(done.stdout)
    return found["gpus"], found["reason"]


def _refused(value: str, reason: str) -> InvalidInput:
    return InvalidInput(f"devices: {value!r}: {reason}", field="devices")
