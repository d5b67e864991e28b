"""Segment: count the documents of a corpus."""

from __future__ import annotations

from typing import Any

from service.catalog import corpora
from workers.corpora.sources import count_documents, read_documents
from workers.flows.engine.runtime import runtime


def scan_corpus(arguments: dict[str, Any]) -> dict[str, Any]:
    """Read the corpus `arguments["corpus"]` once and record its counts."""
    current = runtime()
    corpus = current.read(lambda connection: corpora.find(connection, arguments["corpus"]))
    counts = count_documents(read_documents(corpus.source, current.settings))
    current.write(lambda connection: corpora.record_counts(connection, corpus.id, counts))
    return {"documents": counts.documents}
