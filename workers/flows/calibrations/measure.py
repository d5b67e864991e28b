"""Segment: measure how fast this worker's device is, once for each kind of device."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from service.artifacts.manifest import canonical_json
from service.catalog import calibrations, corpora
from service.contracts.estimates import Calibration, Device
from service.provenance import provenance
from service.settings import Settings
from workers.calibration import calibrate
from workers.corpora.sources import read_documents
from workers.devices.device import choose_device, describe_device
from workers.devices.memory import device_memory
from workers.flows.calibrations.arguments import CALIBRATE, Calibrated
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import Nothing, runs_unowned

_TEXT = "python-docs"
_DOCUMENTS = 400  # of the built-in corpus: a few megabytes of real text


def this_device(settings: Settings) -> Device:
    """The device of this worker; devices with equal fingerprints are equally fast."""
    device = choose_device(settings.device)
    about = describe_device(device)
    what = about | {"device": device.type, "versions": provenance(("torch", "numpy"))["versions"]}
    what |= {"instructions": torch.backends.cpu.get_cpu_capability(), "speeds": sorted(Calibration.model_fields)}
    if device.type == "cuda":  # measured on work that occupies it
        what |= {"sample": 2}
    return Device(
        device=str(device),
        name=str(about["name"]),
        memory_bytes=device_memory(device),
        fingerprint=hashlib.sha256(canonical_json(what)).hexdigest()[:32],
    )


@runs_unowned(CALIBRATE)
def calibrate_device(_: Nothing, runtime: Runtime) -> Calibrated:
    """Measure and record the device's speeds, unless a device of this kind was measured before."""
    settings = runtime.settings
    fingerprint = this_device(settings).fingerprint
    if runtime.read(lambda connection: calibrations.get(connection, fingerprint)) is not None:
        return Calibrated(fingerprint=fingerprint)
    source = runtime.read(lambda connection: corpora.find(connection, _TEXT)).source
    documents = list(islice(read_documents(source, settings), _DOCUMENTS))
    settings.staging_root.mkdir(parents=True, exist_ok=True)  # leftovers of a killed process are removed there
    with TemporaryDirectory(dir=settings.staging_root) as name:
        measured = calibrate(choose_device(settings.device), documents, Path(name))
    runtime.write(lambda connection: calibrations.record(connection, fingerprint, measured))
    return Calibrated(fingerprint=fingerprint)
