"""Segment: the chunks of one shard → its vectors at every site, unpublished.

The digest of the shard's files is recorded beside them and passed on to the segment that publishes, so that a file that
changes in between is never published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.artifacts.activation_set import load_tensors, rows_name, save_tensors, shard_name
from service.artifacts.atomic import sha256_file, write_bytes
from service.artifacts.manifest import digest_of
from service.catalog import jobs
from service.contracts.base import Notice
from service.contracts.extraction import ExtractionSpec
from service.contracts.sites import Site
from service.errors import CorruptArtifact, NonFiniteData
from workers.activations.extraction import extract
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.extraction.arguments import EXTRACT, ShardArguments, ShardWritten
from workers.flows.extraction.models import open_model
from workers.flows.extraction.reuse import batch_tokens, mark_maker
from workers.flows.extraction.sample import check_against
from workers.flows.publishing import all_or_nothing


@runs(EXTRACT)
def extract_shard(arguments: ShardArguments, owner: SegmentOwner) -> ShardWritten:
    """Extract the vectors of one shard at every site; a shard that an earlier owner wrote is kept.

    Raises:
        CorruptArtifact: the shard's chunks cannot be read, or its files are not what an earlier owner wrote; nothing of
            the extraction is kept then.
    """
    spec, shard, folder = arguments.spec, arguments.shard, owner.runtime.staging(owner.job_id)
    targets = [site_folder(folder, site) / shard_name(shard) for site in range(len(spec.named_sites))]
    files, digest_file = [folder / rows_name(shard), *targets], folder / f"{shard_name(shard)}.sha256"
    written = all(file.exists() for file in (*targets, digest_file))
    with all_or_nothing(owner, folder):
        tokens = load_tensors(files[0])["tokens"]
        if written and digest_of(map(sha256_file, files)) != digest_file.read_text():
            raise changed_meanwhile()
    if not written:
        _extract(spec, shard, tokens, targets, owner)
        write_bytes(digest_file, digest_of(map(sha256_file, files)).encode())
    owner.progress(len(tokens), final=True)
    return ShardWritten(rows=len(tokens), sha256=digest_file.read_text())


def site_folder(staging: Path, site: int) -> Path:
    """The folder where the shards of the site at that position are staged."""
    return staging / f"site-{site:02d}"


def changed_meanwhile() -> CorruptArtifact:
    """The error for a staged file that is not what its segment wrote."""
    return CorruptArtifact("an unpublished file of the extraction was changed after it was written")


def _extract(spec: ExtractionSpec, shard: int, tokens: np.ndarray, targets: list[Path], owner: SegmentOwner) -> None:
    """Write the vectors of a shard's chunks at every site."""
    current = owner.runtime
    folder, loaded = current.staging(owner.job_id), open_model(spec, current)
    sites = check_against(spec, loaded.model.sizes)
    mark_maker(folder, current.settings, loaded.identity["content"])
    budget = batch_tokens(current.settings, loaded.model.device)
    extracted = extract(loaded.model, list(tokens), sites, spec.position, budget, owner.progress, loss=spec.loss)
    if extracted.halvings:
        mark_maker(folder, current.settings, None, halved=True)
    of_chunks = {} if extracted.losses is None else {"loss": _finite(extracted.losses, shard)}
    owner.record(lambda connection: None)  # checks the fence before files get their names
    for site, target in zip(sites, targets, strict=True):
        _check_finite(extracted.vectors[site], site, shard)
        save_tensors(target, {"vectors": extracted.vectors[site]} | of_chunks)
    if extracted.halvings:
        _warn_halved(owner, extracted.halvings)


def _check_finite(vectors: np.ndarray, site: Site, shard: int) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        shown = ", ".join(str(row) for row in bad[:10])
        raise NonFiniteData(f"{len(bad)} rows of shard {shard} at {site} are not finite: rows {shown} of the shard")


def _finite(losses: np.ndarray, shard: int) -> np.ndarray:
    """The losses, unless one is not finite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise NonFiniteData(f"the loss of chunk {bad[0]} of shard {shard} is not finite")
    return losses


def _warn_halved(owner: SegmentOwner, halvings: int) -> None:
    notice = Notice(code="batch_halved", message=f"memory ran out; batches were split {halvings} times in a shard")
    owner.runtime.write(lambda connection: jobs.warn(connection, owner.job_id, [notice]))
