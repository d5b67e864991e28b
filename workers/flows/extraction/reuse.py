"""When a finished activation set is the one that a job would compute: both have the same key.

The key is a SHA-256 of everything that determines the rows, by content: the extraction's part of the spec, the bytes of
the sampled chunks, the bytes of the model (or its commit on the hub), and what decides the last bits of a forward pass:
device, library versions, threads, batches. Names do not suffice: a corpus or a model's folder may have changed.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch

from service.artifacts.activation_set import ActivationSet
from service.artifacts.atomic import write_bytes
from service.artifacts.manifest import canonical_json
from service.catalog import reuse
from service.catalog.engine import Connection
from service.contracts.extraction import ExtractionSpec, vector_fields
from service.errors import CorruptArtifact
from service.provenance import provenance
from service.settings import Settings
from workers.devices.device import choose_device, default_batch_tokens, describe_device
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.extraction.models import model_content
from workers.flows.extraction.note import SampleNote

_MARK = "made-"
_PACKAGES = ("torch", "transformers")
logger = logging.getLogger(__name__)


def batch_tokens(settings: Settings, device: torch.device) -> int:
    """Tokens of one forward pass on that device."""
    return settings.batch_tokens or default_batch_tokens(device)


def mark_maker(staging: Path, settings: Settings, content: str | None, *, halved: bool = False) -> None:
    """Note beside the shards how one of them is made: a set whose shards were made in several ways gets no key."""
    mark = "halved" if halved else _maker(settings, content) or "unknown"
    if not (staging / f"{_MARK}{mark}").exists():
        write_bytes(staging / f"{_MARK}{mark}", b"")


def key_of_staged(spec: ExtractionSpec, note: SampleNote, staging: Path) -> str | None:
    """The key of the sets whose shards are in `staging`; None where they were not all made in one known way."""
    marks = [path.name.removeprefix(_MARK) for path in staging.glob(f"{_MARK}*")]
    known = len(marks) == 1 and marks[0] not in ("halved", "unknown")
    return _key(spec, note, marks[0], loss=spec.loss) if known else None


def use_finished(spec: ExtractionSpec, note: SampleNote, owner: SegmentOwner) -> list[str] | None:
    """Make finished sets that equal what this job would compute its results; returns their ids, or None.

    The job's own results come first. All sites come from one job, and every file is read and checked: a damaged set is
    computed anew.
    """
    current = owner.runtime
    maker = _maker(current.settings, model_content(spec, current))
    losses = [loss for loss in (False, True) if spec.is_served_with(loss=loss)]
    keys = [] if maker is None or not spec.reuse else [_key(spec, note, maker, loss=loss) for loss in losses]
    candidates = current.read(lambda connection: reuse.find(connection, owner.job_id, keys, spec.named_sites))
    for found in candidates:
        sets = [set_id for set_id, _ in found]
        if are_sound(dict(found), owner) and owner.record(partial(_link, owner.job_id, sets)):
            return sets
    return None


def are_sound(sets: dict[str, str], owner: SegmentOwner) -> bool:
    """Whether every file of some sets, given by id and their manifests' SHA-256, is what was published."""
    return all(_is_sound(owner.runtime.artifact(set_id), sha256, owner) for set_id, sha256 in sets.items())


def _link(job_id: str, sets: list[str], connection: Connection) -> bool:
    return reuse.link(connection, job_id, sets)


def _is_sound(folder: Path, sha256: str, owner: SegmentOwner) -> bool:
    stored = ActivationSet(folder, sha256)
    try:
        for entry in stored.manifest["files"]:
            stored.file(entry["name"])
            owner.progress(0)
    except CorruptArtifact as error:
        logger.warning("%s is not reused: %s", folder.name, error.detail)
        return False
    return True


def _key(spec: ExtractionSpec, note: SampleNote, maker: str, *, loss: bool) -> str:
    """The key of the vectors; of a set that has losses too, another one that follows from it."""
    sample = {name: value for name, value in note.as_stored().items() if name != "corpus"}  # its chunks are what counts
    vectors = {"spec": vector_fields(spec.model_dump(mode="json")), "sample": sample, "maker": maker}
    return _sha256({"vectors": vectors, "loss": True} if loss else vectors)


def _maker(settings: Settings, content: str | None) -> str | None:
    """Digest of a model's content and of how this worker runs it; None for a model without a content digest."""
    if content is None:
        return None
    device = choose_device(settings.device)
    about, described = provenance(_PACKAGES), describe_device(device)
    how = {
        "model": content,
        "versions": about["versions"],
        "commit": about["commit"],
        "device": device.type,
        "name": described["name"],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": described["threads"],
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "batch_tokens": batch_tokens(settings, device),
        "shard_tokens": settings.shard_tokens,
    }
    return _sha256(how)


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()
