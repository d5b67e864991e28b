"""Warnings about an extraction's sample, for its reader."""

from __future__ import annotations

from service.contracts.base import Notice
from service.contracts.extraction import ExtractionSpec
from workers.flows.extraction.arguments import Sampled


def notices(spec: ExtractionSpec, sample: Sampled) -> list[Notice]:
    """Fewer chunks than wanted, special tokens in the text, and sites that were named twice."""
    return [*_fewer_chunks(spec, sample), *_special_tokens(sample), *_same_sites(spec, sample)]


def _fewer_chunks(spec: ExtractionSpec, sample: Sampled) -> list[Notice]:
    if sample.chunks >= spec.chunks:
        return []
    message = f"{spec.chunks} chunks were asked for; the corpus gives {sample.chunks}"
    if sample.chunks_there is not None and sample.chunks_there > sample.chunks:
        message += (
            f", as chunks_per_document is {spec.chunks_per_document} and {sample.documents} documents are long enough; "
            f'chunks_per_document: "all" gives {min(sample.chunks_there, spec.chunks)}'
        )
    return [Notice(code="fewer_chunks", message=message)]


def _special_tokens(sample: Sampled) -> list[Notice]:
    if not sample.special_tokens:
        return []
    message = (
        f"{sample.special_tokens} tokens of the chunks are special tokens that the text spells out, such as "
        "<|endoftext|>; a corpus with a document_separator is divided there instead"
    )
    return [Notice(code="special_tokens", message=message)]


def _same_sites(spec: ExtractionSpec, sample: Sampled) -> list[Notice]:
    if sample.sites is None or spec.sites == "all" or len(sample.sites) == len(spec.sites):
        return []
    again = [name for name in spec.sites if name not in sample.sites]
    message = f"{', '.join(again)} name sites that are named otherwise too; each site gives one set"
    return [Notice(code="same_site", message=message)]
