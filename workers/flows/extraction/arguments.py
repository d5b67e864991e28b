"""Arguments and results of the segments of an extraction."""

from __future__ import annotations

from service.contracts.extraction import ExtractionSpec
from workers.flows.engine.segments import SegmentKind, SegmentModel


class SampleArguments(SegmentModel):
    """The extraction; of an analysis, its extraction part."""

    spec: ExtractionSpec


class Sampled(SegmentModel):
    """The staged sample.

    Attributes:
        reused: finished activation sets of this very sample, now results of the job; None where it has to be extracted.
        sites: the sites of the spec, each under one name.
        documents: how many documents the chunks are of.
        chunks_there: all chunks of the corpus, where fewer were sampled than wanted.
        special_tokens: tokens of the chunks that are special ones, spelt in the text.
    """

    chunks: int
    rows: int
    shards: int
    reused: list[str] | None
    sites: list[str] | None = None  # None of all these: recorded by an earlier version
    documents: int | None = None
    chunks_there: int | None = None
    special_tokens: int = 0


class ShardArguments(SegmentModel):
    """One shard of the staged sample."""

    spec: ExtractionSpec
    shard: int


class ShardWritten(SegmentModel):
    """`sha256`: digest of the shard's files as they were written, so that a later change of one is detected."""

    rows: int
    sha256: str


class PublishArguments(SegmentModel):
    """All shards; `sha256` is the digest of theirs."""

    spec: ExtractionSpec
    shards: int
    sha256: str


class PublishedSets(SegmentModel):
    """Ids of the activation sets, one per site, in the order of the sites."""

    sets: list[str]


SAMPLE = SegmentKind("sample", SampleArguments, Sampled)
EXTRACT = SegmentKind("extract", ShardArguments, ShardWritten)
PUBLISH = SegmentKind("publish", PublishArguments, PublishedSets)


def extraction_part(spec: ExtractionSpec) -> ExtractionSpec:
    """The extraction of a spec that may be an analysis."""
    return ExtractionSpec.model_validate({name: getattr(spec, name) for name in ExtractionSpec.model_fields})
