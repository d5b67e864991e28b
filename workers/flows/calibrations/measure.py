"""Segment: measure how fast this worker's device is, once for each kind of device."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from service.artifacts.manifest import canonical_json
from service.catalog import calibrations, corpora
from service.contracts.estimates import Device
from service.provenance import provenance
from service.settings import Settings
from workers.calibration import calibrate
from workers.corpora.sources import read_documents
from workers.devices.device import choose_device, describe_device, device_memory
from workers.flows.engine.runtime import runtime

_TEXT = "python-docs"
_DOCUMENTS = 400  # of the built-in corpus: a few megabytes of real text


def this_device(settings: Settings) -> Device:
    """What this worker computes on; equal fingerprints are equally fast."""
    device = choose_device(settings.device)
    about = describe_device(device)
    what = about | {"device": device.type, "versions": provenance(("torch", "numpy"))["versions"]}
    what |= {"instructions": torch.backends.cpu.get_cpu_capability()}
    return Device(
        device=str(device),
        name=str(about["name"]),
        memory_bytes=device_memory(device),
        fingerprint=hashlib.sha256(canonical_json(what)).hexdigest()[:32],
    )


def calibrate_device(_arguments: dict[str, Any]) -> dict[str, Any]:
    """Measure, and keep what was found; a device of a kind that was measured is left alone."""
    current = runtime()
    fingerprint = this_device(current.settings).fingerprint
    if current.read(lambda connection: calibrations.get(connection, fingerprint)) is not None:
        return {"fingerprint": fingerprint}
    source = current.read(lambda connection: corpora.find(connection, _TEXT)).source
    documents = list(islice(read_documents(source, current.settings), _DOCUMENTS))
    current.settings.staging_root.mkdir(parents=True, exist_ok=True)  # where leftovers of a killed process are swept
    with TemporaryDirectory(dir=current.settings.staging_root) as name:
        measured = calibrate(choose_device(current.settings.device), documents, Path(name))
    current.write(lambda connection: calibrations.record(connection, fingerprint, measured))
    return {"fingerprint": fingerprint}
