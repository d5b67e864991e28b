"""Segments: the chunks of one shard → its vectors; all shards → published activation sets.

Between the two the files lie unpublished. What each segment wrote is told by its SHA-256 to the one that publishes, so
that a set never vouches for a file that was changed meanwhile.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.artifacts.activation_set import catalog_row, finish_set, load_tensors, rows_name, save_tensors, shard_name
from service.artifacts.atomic import atomic_path, publish_folder, sha256_file, write_bytes
from service.artifacts.manifest import MANIFEST, digest_of, read_manifest
from service.artifacts.staging import collect_staging, own_staging
from service.catalog import activations, jobs
from service.catalog.engine import Connection
from service.contracts.base import Notice
from service.contracts.extraction import NOT_IN_VECTORS, ExtractionSpec
from service.contracts.sites import Site
from service.errors import CorruptArtifact, NonFiniteData
from service.ids import derived_id
from service.provenance import provenance
from workers.activations.extraction import extract
from workers.activations.parity import relative_deviation
from workers.devices.device import describe_device
from workers.flows.engine.runtime import Runtime, SegmentProgress, runtime
from workers.flows.extraction.models import open_model
from workers.flows.extraction.reuse import are_sound, batch_tokens, key_of_staged, mark_maker
from workers.flows.extraction.sample import check_against, extraction_spec, read_sample_note
from workers.models.interface import HookedModel
from workers.models.loading import LoadedModel

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
_PARITY_CHUNKS = 4


def extract_shard(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Vectors of shard `arguments["shard"]` at every site; a shard that is there already is kept.

    Returns `{"rows", "sha256"}`, the latter of the shard's files as they were written.

    Raises:
        CorruptArtifact: the shard's chunks cannot be read, or its files are not what an earlier owner wrote; nothing of
            the extraction is kept then.
    """
    current, spec, shard = runtime(), extraction_spec(arguments), arguments["shard"]
    folder = current.staging(job_id)
    targets = [folder / f"site-{i:02d}" / shard_name(shard) for i in range(len(spec.sites))]
    files, written = [folder / rows_name(shard), *targets], folder / f"{shard_name(shard)}.sha256"
    there = all(file.exists() for file in (*targets, written))
    with _all_or_nothing(progress, folder):
        tokens = load_tensors(files[0])["tokens"]
        if there and digest_of(map(sha256_file, files)) != written.read_text():
            raise _changed()
    if not there:
        _extract(job_id, spec, shard, tokens, targets, progress)
        write_bytes(written, digest_of(map(sha256_file, files)).encode())
    progress(len(tokens), final=True)
    return {"rows": len(tokens), "sha256": written.read_text()}


def _extract(
    job_id: str, spec: ExtractionSpec, shard: int, tokens: np.ndarray, targets: list[Path], progress: SegmentProgress
) -> None:
    """Write the vectors of a shard's chunks at every site."""
    current = runtime()
    folder = current.staging(job_id)
    loaded, sites = _load(current, spec)
    mark_maker(folder, current.settings, loaded.identity["content"])
    budget = batch_tokens(current.settings, loaded.model.device)
    extracted = extract(loaded.model, list(tokens), sites, spec.position, budget, progress)
    if extracted.halvings:
        mark_maker(folder, current.settings, None, halved=True)
    current.write(progress.check)
    for site, target in zip(sites, targets, strict=True):
        _check_finite(extracted.vectors[site], site, shard)
        save_tensors(target, {"vectors": extracted.vectors[site]})
    if extracted.halvings:
        _warn_halved(current, job_id, extracted.halvings)


def publish_sets(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Complete and publish one activation set per site; returns `{"sets": [ids]}`.

    Sets that an owner before has published and recorded stay as they are.

    Raises:
        CorruptArtifact: a file is not what its segment wrote; nothing of the extraction is kept then.
    """
    current, spec = runtime(), extraction_spec(arguments)
    ids = [derived_id("act", job_id, position) for position in range(len(spec.sites))]
    recorded = current.read(lambda connection: activations.published(connection, ids))
    if len(recorded) < len(ids) or not are_sound(recorded, progress):
        unrecorded = [current.artifact(set_id) for set_id in ids if set_id not in recorded]
        with _all_or_nothing(progress, current.staging(job_id), *unrecorded):
            _publish(spec, job_id, arguments, ids, progress, anew=bool(recorded))
        rows = [catalog_row(current.artifact(set_id)) for set_id in ids]
        current.write(partial(_record, progress, rows))
    for set_id in ids:
        collect_staging(current.settings.staging_root, set_id)
    shutil.rmtree(current.staging(job_id), ignore_errors=True)
    return {"sets": ids}


def _publish(
    spec: ExtractionSpec,
    job_id: str,
    arguments: dict[str, Any],
    ids: list[str],
    progress: SegmentProgress,
    *,
    anew: bool,
) -> None:
    """Rename the sets that are missing into place, or all `anew`, once they are what their segments told of."""
    current, shards = runtime(), range(arguments["shards"])
    staging, folders = current.staging(job_id), [current.artifact(set_id) for set_id in ids]
    missing = [i for i, folder in enumerate(folders) if anew or not (folder / MANIFEST).exists()]
    described = _describe(current, spec, job_id, staging, missing) if missing else {}
    with ExitStack() as owned:
        made: dict[int, Path] = {}
        for i, about in described.items():
            made[i] = owned.enter_context(own_staging(current.settings.staging_root, ids[i], progress.attempt))
            _link(staging / f"site-{i:02d}", made[i], [shard_name(shard) for shard in shards])
            _link(staging, made[i], [rows_name(shard) for shard in shards])
            finish_set(made[i], about | {"id": ids[i]})
        _check_told([made.get(i, folder) for i, folder in enumerate(folders)], arguments["shards"], arguments["sha256"])
        if anew:
            _remove(progress, *folders)
        for i, folder in made.items():
            publish_folder(folder, folders[i])


@contextmanager
def _all_or_nothing(progress: SegmentProgress, *folders: Path) -> Iterator[None]:
    """Remove what an extraction has made when a part of it turns out to be damaged: a retry makes it all anew."""
    try:
        yield
    except CorruptArtifact:
        _remove(progress, *folders)
        raise


def _remove(progress: SegmentProgress, *folders: Path) -> None:
    """Only while this worker owns the segment: one that was replaced may take its successor's files for damaged."""
    current = runtime()
    gone = {folder: current.staging(f"{folder.name}.gone-{progress.attempt}") for folder in folders}

    def set_aside(connection: Connection) -> None:
        progress.check(connection)  # whoever comes next waits for the end of the transaction
        for folder, aside in gone.items():
            with suppress(FileNotFoundError):
                os.replace(folder, aside)

    current.write(set_aside)
    for aside in gone.values():
        shutil.rmtree(aside, ignore_errors=True)


def _check_told(folders: list[Path], shards: int, told: str) -> None:
    """Raise unless the files of all sites are those that the sample and `extract_shard` of all shards told of."""
    manifests = [read_manifest(folder) for folder in folders]
    hashes = [{entry["name"]: entry["sha256"] for entry in manifest["files"]} for manifest in manifests]
    chunks = [hashes[0][rows_name(shard)] for shard in range(shards)]
    of_shards = [
        digest_of([chunks[shard], *(of_site[shard_name(shard)] for of_site in hashes)]) for shard in range(shards)
    ]
    if digest_of(of_shards) != told or digest_of(chunks) != manifests[0]["sample"]["chunks_sha256"]:
        raise _changed()


def _changed() -> CorruptArtifact:
    return CorruptArtifact("an unpublished file of the extraction was changed after it was written")


def _load(
    current: Runtime, spec: ExtractionSpec, dtype: str | None = None
) -> tuple[LoadedModel[HookedModel], list[Site]]:
    loaded = open_model(spec, current, dtype)
    return loaded, check_against(spec, loaded.model.sizes)


def _record(progress: SegmentProgress, rows: list[dict[str, Any]], connection: Connection) -> None:
    """Visible, and among the job's results, all together, if this worker still owns the segment."""
    progress.check(connection)
    for row in rows:
        activations.publish(connection, row)
        jobs.add_result(connection, progress.job_id, "activations", row["site"], row["id"])


def _parity(current: Runtime, spec: ExtractionSpec, staging: Path, positions: list[int]) -> dict[int, dict[str, Any]]:
    """Deviation of the first stored rows of each site from a float32 forward of one chunk at a time."""
    loaded, sites = _load(current, spec, "float32")
    chunks = list(load_tensors(staging / rows_name(0))["tokens"][:_PARITY_CHUNKS])
    rows = len(chunks) * (spec.chunk_tokens if spec.position == "all" else 1)
    stored = {sites[i]: load_tensors(staging / f"site-{i:02d}" / shard_name(0))["vectors"][:rows] for i in positions}
    deviations = relative_deviation(loaded.model, chunks, spec.position, stored)
    return {i: {"chunks": len(chunks), "max_relative_deviation": deviations[sites[i]]} for i in positions}


def _check_finite(vectors: np.ndarray, site: Site, shard: int) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        shown = ", ".join(str(row) for row in bad[:10])
        raise NonFiniteData(f"{len(bad)} rows of shard {shard} at {site} are not finite: rows {shown} of the shard")


def _warn_halved(current: Runtime, job_id: str, halvings: int) -> None:
    notice = Notice(code="batch_halved", message=f"memory ran out; batches were split {halvings} times in a shard")
    current.write(lambda connection: jobs.warn(connection, job_id, [notice]))


def _link(source: Path, folder: Path, names: list[str]) -> None:
    """Files that other owners and sites use too: linked, not copied, where the file system can."""
    for name in names:
        try:
            os.link(source / name, folder / name)
        except OSError:
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)


def _describe(
    current: Runtime, spec: ExtractionSpec, job_id: str, staging: Path, positions: list[int]
) -> dict[int, dict[str, Any]]:
    """What the manifests of the sites at `positions` say, but for their ids."""
    loaded, sites = _load(current, spec)
    note = read_sample_note(staging)
    shared = {
        "job": job_id,
        "position": spec.position,
        "rows_per_chunk": spec.chunk_tokens if spec.position == "all" else 1,
        "extraction": spec.model_dump(mode="json", exclude=NOT_IN_VECTORS),
        "sample": note,
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
    parity = _parity(current, spec, staging, positions)
    own = {
        i: {"name": f"{spec.model} {spec.sites[i]}", "site": spec.sites[i], "layer": sites[i].layer} for i in positions
    }
    return {i: shared | own[i] | {"parity": parity[i]} for i in positions}
