"""Arguments and result of the segment of a corpus scan."""

from __future__ import annotations

from service.contracts.base import Identifier
from workers.flows.engine.segments import SegmentKind, SegmentModel


class ScanArguments(SegmentModel):
    """The corpus to count."""

    corpus: Identifier


class Scanned(SegmentModel):
    """The number of documents in the corpus."""

    documents: int


SCAN = SegmentKind("scan", ScanArguments, Scanned)
