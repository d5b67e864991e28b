"""Segment: count the documents of a corpus."""

from __future__ import annotations

import time

from service.catalog import corpora
from service.contracts.corpora import Corpus, CorpusCounts
from service.errors import Cancelled, InvalidInput, NotFound
from workers.corpora.sources import count_corpus
from workers.flows.engine.memory import memory_returned
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs_unowned
from workers.flows.scans.arguments import SCAN, ScanArguments, Scanned


@runs_unowned(SCAN)
def scan_corpus(arguments: ScanArguments, runtime: Runtime) -> Scanned:
    """Read the corpus once and record its counts.

    Raises:
        Cancelled: the corpus was deleted meanwhile.
        InvalidInput: it has no documents, or one cannot be read.
    """
    watch = _Watch(arguments.corpus, runtime)
    with memory_returned():
        counts = count_corpus(watch.check().source, runtime.settings, watch.tick)
    if counts.bytes == 0:
        raise InvalidInput(_why_empty(counts), field="path")
    runtime.write(lambda connection: corpora.record_counts(connection, arguments.corpus, counts))
    return Scanned(documents=counts.documents)


def _why_empty(counts: CorpusCounts) -> str:
    if counts.documents:
        return f"the corpus has no text: its documents ({counts.documents}) are empty"
    left_out = f"; {counts.rows_without_text} rows without text were left out" if counts.rows_without_text else ""
    return f"the corpus has no documents{left_out}"


class _Watch:
    """Checks now and then whether a corpus is still registered."""

    def __init__(self, corpus: str, runtime: Runtime) -> None:
        self._corpus, self._runtime, self._checked_s = corpus, runtime, time.monotonic()

    def tick(self) -> None:
        """Check, unless the last check was a moment ago; raises `Cancelled` when the corpus was deleted."""
        if time.monotonic() - self._checked_s >= self._runtime.settings.progress_interval_s:
            self.check()

    def check(self) -> Corpus:
        """The corpus; raises `Cancelled` when it was deleted."""
        self._checked_s = time.monotonic()
        try:
            return self._runtime.read(lambda connection: corpora.find(connection, self._corpus))
        except NotFound as error:
            raise Cancelled("the corpus was deleted") from error
