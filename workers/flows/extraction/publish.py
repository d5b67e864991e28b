"""Segment: all shards → published activation sets, one per site."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from service.artifacts.activation_set import catalog_row, finish_set, load_tensors, rows_name, shard_name
from service.artifacts.atomic import atomic_path
from service.artifacts.manifest import digest_of, read_manifest
from service.catalog import activations, jobs
from service.catalog.engine import Connection
from service.contracts.extraction import NOT_IN_VECTORS, ExtractionSpec
from service.ids import derived_id
from service.provenance import provenance
from workers.activations.parity import deviations, plain_deviations
from workers.devices.device import describe_device
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.extraction.arguments import PUBLISH, PublishArguments, PublishedSets
from workers.flows.extraction.models import open_model
from workers.flows.extraction.note import read_sample_note
from workers.flows.extraction.reuse import are_sound, batch_tokens, key_of_staged
from workers.flows.extraction.sample import check_against
from workers.flows.extraction.shards import changed_meanwhile, site_folder
from workers.flows.publishing import Draft, all_or_nothing, is_published, publish

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
_PARITY_CHUNKS = 4


@runs(PUBLISH)
def publish_sets(arguments: PublishArguments, owner: SegmentOwner) -> PublishedSets:
    """Complete and publish one activation set per site. Sets that the job has recorded and that are sound stay.

    Raises:
        CorruptArtifact: a file is not what its segment wrote; nothing of the extraction is kept then.
    """
    current, sites = owner.runtime, range(len(arguments.spec.named_sites))
    ids = [derived_id("act", owner.job_id, site) for site in sites]
    recorded = current.read(lambda connection: activations.published(connection, ids))
    if len(recorded) < len(ids) or not are_sound(recorded, owner):
        _publish(arguments, ids, owner, recorded)
    shutil.rmtree(current.staging(owner.job_id), ignore_errors=True)
    return PublishedSets(sets=ids)


def _publish(arguments: PublishArguments, ids: list[str], owner: SegmentOwner, recorded: dict[str, str]) -> None:
    """Publish what is missing; where a recorded set is damaged all sets anew, as new shards may differ in bits."""
    current = owner.runtime
    staging, folders = current.staging(owner.job_id), [current.artifact(set_id) for set_id in ids]

    def keep(folder: Path) -> bool:
        return not recorded and is_published(folder)

    missing = [site for site, folder in enumerate(folders) if not keep(folder)]
    unrecorded = [folder for folder in folders if folder.name not in recorded]
    with all_or_nothing(owner, staging, *unrecorded):
        described = _describe(arguments.spec, staging, missing, owner) if missing else {}
        drafts = [
            Draft(folder, partial(_write_set, arguments, staging, site, described.get(site, {}) | {"id": folder.name}))
            for site, folder in enumerate(folders)
        ]
        publish(
            owner,
            drafts,
            keep=keep,
            check=partial(_check_digests, arguments),
            record=lambda _: partial(_record, owner, [catalog_row(folder) for folder in folders]),
        )


def _write_set(arguments: PublishArguments, staging: Path, site: int, about: dict[str, Any], folder: Path) -> None:
    shards = range(arguments.shards)
    _link(site_folder(staging, site), folder, [shard_name(shard) for shard in shards])
    _link(staging, folder, [rows_name(shard) for shard in shards])
    finish_set(folder, about)


def _check_digests(arguments: PublishArguments, folders: list[Path]) -> None:
    """Raise unless the files of all sites are those that the sample and all shards were recorded with."""
    manifests = [read_manifest(folder) for folder in folders]
    hashes = [{entry["name"]: entry["sha256"] for entry in manifest["files"]} for manifest in manifests]
    shards = range(arguments.shards)
    chunks = [hashes[0][rows_name(shard)] for shard in shards]
    of_shards = [digest_of([chunks[shard], *(of_site[shard_name(shard)] for of_site in hashes)]) for shard in shards]
    if digest_of(of_shards) != arguments.sha256 or digest_of(chunks) != manifests[0]["sample"]["chunks_sha256"]:
        raise changed_meanwhile()


def _record(owner: SegmentOwner, rows: list[dict[str, Any]], connection: Connection) -> None:
    """Make all sets visible, and results of the job, in one transaction."""
    for row in rows:
        activations.publish(connection, row)
        jobs.add_result(connection, owner.job_id, "activations", row["site"], row["id"])


def _link(source: Path, folder: Path, names: list[str]) -> None:
    """Link files that other owners and sites use too; copy them where the file system has no links."""
    for name in names:
        try:
            os.link(source / name, folder / name)
        except OSError:
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)


def _describe(
    spec: ExtractionSpec, staging: Path, positions: list[int], owner: SegmentOwner
) -> dict[int, dict[str, Any]]:
    """The manifests of the sites at `positions`, without their ids and files."""
    current, loaded = owner.runtime, open_model(spec, owner.runtime)
    sites, note = check_against(spec, loaded.model.sizes), read_sample_note(staging)
    shared = {
        "job": owner.job_id,
        "position": spec.position,
        "rows_per_chunk": spec.chunk_tokens if spec.position == "all" else 1,
        "extraction": spec.model_dump(mode="json", exclude=NOT_IN_VECTORS),
        "sample": note.as_stored(),
        "reuse_key": key_of_staged(spec, note, staging),
        "model": loaded.identity,
        "provenance": provenance(
            _PACKAGES,
            seed=spec.seed,
            dtype=spec.dtype,
            batch_tokens=batch_tokens(current.settings, loaded.model.device),
            shard_tokens=current.settings.shard_tokens,
            tf32=torch.backends.cuda.matmul.allow_tf32,
            **describe_device(loaded.model.device),
        ),
    }
    parity = _parity(spec, staging, positions, owner)
    own = {
        site: {
            "name": f"{spec.model} {spec.named_sites[site]}",
            "site": spec.named_sites[site],
            "layer": sites[site].layer,
        }
        for site in positions
    }
    return {site: shared | own[site] | {"parity": parity[site]} for site in positions}


def _parity(
    spec: ExtractionSpec, staging: Path, positions: list[int], owner: SegmentOwner
) -> dict[int, dict[str, Any]]:
    """Deviation of the first stored rows of each site from a float32 forward of one chunk at a time.

    That of our own code, and under `huggingface` that of Hugging Face's, where it has one.
    """
    loaded = open_model(spec, owner.runtime, "float32")
    sites = check_against(spec, loaded.model.sizes)
    chunks = list(load_tensors(staging / rows_name(0))["tokens"][:_PARITY_CHUNKS])
    rows = len(chunks) * (spec.chunk_tokens if spec.position == "all" else 1)
    stored = {
        sites[site]: load_tensors(site_folder(staging, site) / shard_name(0))["vectors"][:rows] for site in positions
    }
    ours = deviations(loaded.model, chunks, spec.position, stored)
    theirs = plain_deviations(loaded.model, chunks, spec.position, stored)
    return {
        site: {"chunks": len(chunks)}
        | asdict(ours[sites[site]])
        | {"huggingface": None if theirs is None else asdict(theirs[sites[site]])}
        for site in positions
    }
