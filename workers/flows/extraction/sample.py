"""Segment: a corpus → the sampled chunks on disk, one file per shard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from service.artifacts.activation_set import rows_name, save_chunks
from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import digest_of
from service.catalog import calibrations, corpora, jobs
from service.contracts.base import Notice
from service.contracts.corpora import Corpus
from service.contracts.extraction import ExtractionSpec
from service.contracts.sites import Site, parse_site
from service.errors import InvalidInput, UnsupportedModel
from service.estimates.shards import chunks_of_shard
from workers.corpora.documents import Document
from workers.corpora.sampling import CHUNK_RULE, Chunk, Sample, SamplingRule, draw_sample
from workers.corpora.sources import read_documents
from workers.corpora.tokenising import TextTokenizer
from workers.devices.device import choose_device
from workers.flows.calibrations.measure import this_device
from workers.flows.engine.memory import memory_returned
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs
from workers.flows.extraction.arguments import SAMPLE, SampleArguments, Sampled
from workers.flows.extraction.models import open_checked
from workers.flows.extraction.note import SAMPLE_NOTE, SampleNote, read_sample_note, write_sample_note
from workers.flows.extraction.reuse import use_finished
from workers.models.interface import ModelSizes
from workers.models.loading import CheckedModel
from workers.models.tokenizer import check_ids


@runs(SAMPLE)
def sample_chunks(arguments: SampleArguments, owner: SegmentOwner) -> Sampled:
    """Draw the sample and stage it, or make finished sets of the same sample the job's results."""
    spec, folder = arguments.spec, owner.runtime.staging(owner.job_id)
    model = open_checked(spec, owner.runtime)
    spec = spec.model_copy(update={"sites": model.site_names.distinct(spec.sites)})
    check_against(spec, model.sizes)
    if spec.loss and not model.has_output:
        detail = f"{spec.model!a} has no output map: its weights lack one, and it is not the embedding; a loss needs it"
        raise UnsupportedModel(detail, field="spec.loss")
    if not (folder / SAMPLE_NOTE).exists():
        with memory_returned():
            _stage_sample(spec, folder, model, owner)
    note = read_sample_note(folder)
    reused = use_finished(spec, note, owner)
    if reused is not None:
        shutil.rmtree(folder, ignore_errors=True)
    return Sampled(
        chunks=note.chunks,
        rows=note.rows,
        shards=note.shards,
        reused=reused,
        sites=spec.named_sites,
        documents=note.documents_sampled,
        chunks_there=note.chunks_there,
        special_tokens=note.special_tokens,
    )


def check_against(spec: ExtractionSpec, sizes: ModelSizes) -> list[Site]:
    """The sites in a model of these sizes; raises `InvalidInput` for what the model does not have."""
    if spec.chunk_tokens > sizes.n_ctx:
        raise InvalidInput(f"the model's context is {sizes.n_ctx} tokens", field="spec.chunk_tokens")
    return [parse_site(site, sizes.n_layers) for site in spec.named_sites]


def _stage_sample(spec: ExtractionSpec, folder: Path, model: CheckedModel, owner: SegmentOwner) -> None:
    current = owner.runtime
    corpus = current.read(lambda connection: corpora.find_for_job(connection, owner.job_id, spec.corpus))
    sample = _draw(spec, read_documents(corpus.source, current.settings), model.tokenizer, owner)
    check_ids(max(int(chunk.tokens.max()) for chunk in sample.chunks), model.sizes.d_vocab, model.tokenizer)
    shards = _write_chunks(sample.chunks, folder, _per_shard(spec, model, current))
    special = _special_tokens(sample.chunks, model.tokenizer)
    _warn_of_names(model, owner)
    write_sample_note(folder, _describe(spec, sample, corpus, folder, shards, special))


def _per_shard(spec: ExtractionSpec, model: CheckedModel, current: Runtime) -> int:
    """Chunks of a shard on this worker's kind of device."""
    settings = current.settings
    if choose_device(settings.device).type != "cuda":
        return chunks_of_shard(spec, settings, model.shape, gpu=False, speeds=None)
    fingerprint = this_device(settings).fingerprint
    speeds = current.read(lambda connection: calibrations.get(connection, fingerprint))
    return chunks_of_shard(spec, settings, model.shape, gpu=True, speeds=speeds)


def _warn_of_names(model: CheckedModel, owner: SegmentOwner) -> None:
    if model.notes:
        notices = [Notice(code="tensor_names", message=note) for note in model.notes]
        owner.runtime.write(lambda connection: jobs.warn(connection, owner.job_id, notices))


def _describe(
    spec: ExtractionSpec, sample: Sample, corpus: Corpus, folder: Path, shards: int, special_tokens: int
) -> SampleNote:
    return SampleNote(
        chunks=len(sample.chunks),
        rows=len(sample.chunks) * (spec.chunk_tokens if spec.position == "all" else 1),
        shards=shards,
        chunks_sha256=digest_of(sha256_file(folder / rows_name(shard)) for shard in range(shards)),
        corpus=corpus.model_dump(mode="json", exclude={"created_at", "error", "state"}),
        documents_read=sample.documents_read,
        documents_tokenized=sample.documents_tokenized,
        documents_too_short=sample.documents_too_short,
        documents_sampled=len({chunk.document for chunk in sample.chunks}),
        chunk_rule=CHUNK_RULE,
        chunks_there=sample.chunks_seen if len(sample.chunks) < spec.chunks else None,
        special_tokens=special_tokens,
    )


def _draw(spec: ExtractionSpec, documents: Iterator[Document], tokenizer: Tokenizer, owner: SegmentOwner) -> Sample:
    per_document = None if spec.chunks_per_document == "all" else spec.chunks_per_document
    rule = SamplingRule(spec.chunk_tokens, spec.chunks, per_document, spec.seed)
    nonempty = (document for document in documents if document.text)
    tokenize = TextTokenizer(tokenizer, owner.runtime.settings.tokenising_memory_bytes).encode
    sample = draw_sample(nonempty, tokenize, rule, lambda _: owner.progress(0))
    if not sample.chunks:
        raise InvalidInput(
            f"none of the corpus's {sample.documents_read} documents has {spec.chunk_tokens} tokens",
            field="spec.chunk_tokens",
        )
    return sample


def _special_tokens(chunks: list[Chunk], tokenizer: Tokenizer) -> int:
    """The number of special tokens in the chunks: the text spells them, as `<|endoftext|>`."""
    special = [number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    return sum(int(np.isin(chunk.tokens, special).sum()) for chunk in chunks)


def _write_chunks(chunks: list[Chunk], folder: Path, per_shard: int) -> int:
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
