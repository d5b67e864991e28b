"""Segment: a corpus → the sampled chunks on disk, one file per shard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from service.artifacts.activation_set import rows_name, save_chunks
from service.artifacts.atomic import sha256_file, write_bytes
from service.artifacts.manifest import canonical_json, digest_of
from service.catalog import corpora
from service.contracts.extraction import ExtractionSpec
from service.contracts.sites import Site, parse_site
from service.errors import CorruptArtifact, InvalidInput
from workers.corpora.documents import Document
from workers.corpora.sampling import CHUNK_RULE, Chunk, Sample, SamplingRule, draw_sample
from workers.corpora.sources import read_documents
from workers.flows.engine.runtime import SegmentProgress, runtime
from workers.flows.extraction.models import open_tokenizer
from workers.flows.extraction.reuse import use_finished
from workers.models.interface import ModelSizes

SAMPLE_NOTE = "sample.json"


def extraction_spec(arguments: dict[str, Any]) -> ExtractionSpec:
    """The extraction part of a segment's arguments."""
    return ExtractionSpec(**{name: arguments[name] for name in ExtractionSpec.model_fields if name in arguments})


def check_against(spec: ExtractionSpec, sizes: ModelSizes) -> list[Site]:
    """The sites in a model of these sizes; raises `InvalidInput` for what the model does not have."""
    if spec.chunk_tokens > sizes.n_ctx:
        raise InvalidInput(f"the model's context is {sizes.n_ctx} tokens", field="spec.chunk_tokens")
    return [parse_site(site, sizes.n_layers) for site in spec.sites]


def sample_chunks(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Draw the sample and stage it; returns `{"chunks", "rows", "shards", "reused"}`.

    `reused` are finished sets of this very sample that are now the job's results; None where it has to be extracted.
    """
    current, spec = runtime(), extraction_spec(arguments)
    folder = current.staging(job_id)
    if not (folder / SAMPLE_NOTE).exists():
        sizes, tokenizer = open_tokenizer(spec, current)
        check_against(spec, sizes)
        corpus = current.read(lambda connection: corpora.find(connection, spec.corpus))
        sample = _draw(spec, read_documents(corpus.source, current.settings), tokenizer, progress)
        shards = _stage(sample.chunks, folder, current.settings.shard_tokens // spec.chunk_tokens or 1)
        note = {
            "chunks": len(sample.chunks),
            "rows": len(sample.chunks) * (spec.chunk_tokens if spec.position == "all" else 1),
            "shards": shards,
            "chunks_sha256": _staged_sha256(folder, shards),
            "corpus": corpus.model_dump(mode="json", exclude={"created_at", "error", "state"}),
            "documents_read": sample.documents_read,
            "documents_tokenized": sample.documents_tokenized,
            "documents_too_short": sample.documents_too_short,
            "documents_sampled": len({chunk.document for chunk in sample.chunks}),
            "chunk_rule": CHUNK_RULE,
        }
        write_bytes(folder / SAMPLE_NOTE, canonical_json(note))
    note = read_sample_note(folder)
    reused = use_finished(job_id, spec, note, progress)
    if reused is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return {name: note[name] for name in ("chunks", "rows", "shards")} | {"reused": reused}


def read_sample_note(folder: Path) -> dict[str, Any]:
    """What is known of a staged sample; raises `CorruptArtifact` where it is gone."""
    try:
        return json.loads((folder / SAMPLE_NOTE).read_bytes())
    except FileNotFoundError as error:
        raise CorruptArtifact("the unpublished sample of the extraction is missing") from error


def _draw(
    spec: ExtractionSpec, documents: Iterator[Document], tokenizer: Tokenizer, progress: SegmentProgress
) -> Sample:
    per_document = None if spec.chunks_per_document == "all" else spec.chunks_per_document
    rule = SamplingRule(spec.chunk_tokens, spec.chunks, per_document, spec.seed)
    nonempty = (document for document in documents if document.text)

    def tokenize(texts: list[str]) -> list[Encoding]:
        return tokenizer.encode_batch(texts, add_special_tokens=False)

    sample = draw_sample(nonempty, tokenize, rule, lambda _: progress(0))
    if not sample.chunks:
        raise InvalidInput(
            f"none of the corpus's {sample.documents_read} documents has {spec.chunk_tokens} tokens",
            field="spec.chunk_tokens",
        )
    return sample


def _staged_sha256(folder: Path, shards: int) -> str:
    """Of all that is known of the chunks: tokens, documents, offsets and texts."""
    return digest_of(sha256_file(folder / rows_name(index)) for index in range(shards))


def _stage(chunks: list[Chunk], folder: Path, per_shard: int) -> int:
    """Write the chunks, `per_shard` to a file; returns the number of files."""
    codes: dict[str, int] = {}
    starts = range(0, len(chunks), per_shard)
    for index, start in enumerate(starts):
        part = chunks[start : start + per_shard]
        document = [codes.setdefault(chunk.document, len(codes)) for chunk in part]
        save_chunks(
            folder / rows_name(index),
            np.stack([chunk.tokens for chunk in part]),
            np.asarray(document, dtype=np.int64),
            np.asarray([chunk.offset for chunk in part], dtype=np.int64),
            [chunk.document for chunk in part],
            [chunk.text for chunk in part],
        )
    return len(starts)
