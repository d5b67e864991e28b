"""The workflow of a corpus scan; a failure is recorded with the corpus."""

from __future__ import annotations

from dbos import DBOS

from service.catalog import corpora
from service.jobs.engine import SCAN_WORKFLOW, scan_run_id
from workers.flows.engine.dispatching import JobExecution, as_error, durable
from workers.flows.engine.runtime import runtime
from workers.flows.scans.arguments import SCAN, ScanArguments


@durable(SCAN_WORKFLOW)
def scan(corpus_id: str) -> None:
    """Count a corpus, outside any job."""
    try:
        JobExecution(scan_run_id(corpus_id), priority=1).run(SCAN, "scan", ScanArguments(corpus=corpus_id))
    except Exception as error:
        _record_failure(corpus_id, as_error(error).as_dict())


@DBOS.step(name="_record_scan_failure")
def _record_failure(corpus_id: str, error: dict[str, str]) -> None:
    runtime().write(lambda connection: corpora.record_failure(connection, corpus_id, error))
