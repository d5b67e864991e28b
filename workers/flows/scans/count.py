"""Segment: count the documents of a corpus."""

from __future__ import annotations

from service.catalog import corpora
from workers.corpora.sources import count_documents, read_documents
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs_unowned
from workers.flows.scans.arguments import SCAN, ScanArguments, Scanned


@runs_unowned(SCAN)
def scan_corpus(arguments: ScanArguments, runtime: Runtime) -> Scanned:
    """Read the corpus once and record its counts."""
    corpus = runtime.read(lambda connection: corpora.find(connection, arguments.corpus))
    counts = count_documents(read_documents(corpus.source, runtime.settings))
    runtime.write(lambda connection: corpora.record_counts(connection, corpus.id, counts))
    return Scanned(documents=counts.documents)
