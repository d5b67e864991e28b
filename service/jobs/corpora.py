"""Deletion of corpora."""

from __future__ import annotations

from service.catalog import corpora
from service.catalog.engine import Catalog
from service.jobs.engine import JobEngine, scan_run_id
from service.settings import Settings


def delete_corpus(catalog: Catalog, engine: JobEngine, settings: Settings, id_or_name: str) -> None:
    """Delete a corpus with the file that was uploaded for it; a worker that counts it stops within a moment.

    Raises:
        NotFound: no such corpus.
        Conflict: a job that has not ended reads it, or it is built in.
    """
    with catalog.begin() as connection:
        corpus = corpora.delete(connection, id_or_name)
    engine.cancel(scan_run_id(corpus.id))
    if corpus.source.upload is not None:
        (settings.uploads_root / corpus.source.upload).unlink(missing_ok=True)
