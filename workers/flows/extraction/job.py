"""The workflow of an extraction job: sample the corpus, extract every shard, publish one activation set per site."""

from __future__ import annotations

from dbos import DBOS, PortableWorkflowError

from service.artifacts.manifest import digest_of
from service.artifacts.model_folders import find_model_folder
from service.contracts.extraction import ExtractionSpec
from service.contracts.run_models import parse_run_model
from service.errors import RadiusError
from workers.flows.engine.dispatching import JobExecution, gather, job, set_total
from workers.flows.engine.runtime import runtime
from workers.flows.extraction.arguments import (
    EXTRACT,
    PUBLISH,
    SAMPLE,
    PublishArguments,
    SampleArguments,
    ShardArguments,
    extraction_part,
)
from workers.flows.extraction.notices import notices
from workers.models.hub import find_commit


@job("extraction")
def extraction(execution: JobExecution, spec: ExtractionSpec) -> None:
    """Chunks of a corpus → activation sets."""
    extract(execution, spec)


def extract(execution: JobExecution, spec: ExtractionSpec, *, reports: int = 0) -> list[str]:
    """Sample, extract and publish; returns the ids of the activation sets, one per site.

    Where finished sets of this very sample exist, the sample segment has made them results of the job.

    Args:
        reports: how many reports of each set follow, for the job's progress.
    """
    spec = _at_commit(extraction_part(spec))
    sample = execution.run(SAMPLE, "sample", SampleArguments(spec=spec))
    warnings = notices(spec, sample)
    if sample.sites is not None:
        spec = spec.model_copy(update={"sites": sample.sites})
    measured = reports * len(spec.named_sites) * sample.rows
    total = sample.chunks + measured
    if sample.reused is not None:
        total = measured or sample.chunks
    set_total(execution.job_id, total, "rows", [notice.model_dump() for notice in warnings])
    if sample.reused is not None:
        return sample.reused
    shards = [
        execution.enqueue(EXTRACT, f"extract-{shard:05d}", ShardArguments(spec=spec, shard=shard))
        for shard in range(sample.shards)
    ]
    digest = digest_of(written.sha256 for written in gather(shards))
    published = execution.run(PUBLISH, "publish", PublishArguments(spec=spec, shards=sample.shards, sha256=digest))
    return published.sets


def _at_commit(spec: ExtractionSpec) -> ExtractionSpec:
    """The spec with the commit of a hub's model, so that all segments read the same one; others as they are."""
    commit = _find_commit(spec.model, spec.revision)
    return spec if commit is None else spec.model_copy(update={"revision": commit})


@DBOS.step(name="_find_commit")
def _find_commit(model: str, revision: str | None) -> str | None:
    """The commit that a hub id names; None for a folder and for a kept model. The hub gets one request."""
    try:
        if parse_run_model(model) is not None:
            return None
        here = find_model_folder(model, revision, runtime().settings.models_root)
        return find_commit(model, revision) if here is None else None
    except RadiusError as error:  # in the form that a replay finds again
        raise PortableWorkflowError(error.detail, error.code, data={**error.as_dict()}) from error
