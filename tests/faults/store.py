"""A data directory with a published set and a waiting job, made once; every attempt gets a copy."""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.artifacts.manifest import digest_of
from service.catalog import corpora
from service.catalog.engine import Catalog
from service.contracts.corpora import CorpusSource
from service.contracts.extraction import ExtractionSpec
from service.settings import Settings
from tests.api.products import insert_job, insert_run, own_segment, publish_texts, sample_vectors
from tests.databases.migrated import sqlite_settings
from tests.databases.soak import SOAK
from tests.faults.publishes import OLD, ROWS
from tests.tiny import make_gpt2
from workers.flows.extraction.arguments import PublishArguments, SampleArguments, ShardArguments
from workers.flows.extraction.sample import sample_chunks
from workers.flows.extraction.shards import extract_shard


@dataclass(frozen=True)
class Template:
    """FOLDER/data is the data directory; beside it is what the attempts are given."""

    folder: Path

    @property
    def extraction(self) -> str | None:
        """The job whose shards are staged, in the long profile."""
        return json.loads((self.folder / "made.json").read_bytes()).get("extraction")

    def copy(self, name: str) -> Path:
        """A fresh copy of that name."""
        copied = self.folder.parent / name
        shutil.copytree(self.folder, copied)
        return copied

    def added(self, copied: Path) -> set[Path]:
        """What a copy's store has beside what it was given."""
        given = {path.name for path in (self.folder / "data" / "artifacts").iterdir()}
        return {path for path in (copied / "data" / "artifacts").iterdir() if path.name not in given}


def make_template(folder: Path) -> Template:
    """Make the data directory."""
    settings = sqlite_settings(folder / "data")
    catalog = Catalog(settings.resolved_database_url)
    set_id = publish_texts(settings, catalog, sample_vectors(), insert_job(catalog, {}))
    made = {"set": set_id, "job": insert_job(catalog, {"activations": set_id}), "run": insert_run(catalog)}
    if SOAK:
        made["extraction"] = _stage_extraction(settings, catalog, folder)
    catalog.close()
    (folder / "made.json").write_text(json.dumps(made))
    (settings.artifacts_root / "file").write_bytes(OLD)
    np.save(folder / "rows.npy", ROWS)
    return Template(folder)


def _stage_extraction(settings: Settings, catalog: Catalog, folder: Path) -> str:
    """An extraction of two sites whose shards are all staged; the id of its job."""
    make_gpt2(settings.models_root / "tiny")
    book = settings.corpora_root / "book" / "one.txt"
    book.parent.mkdir(parents=True)
    book.write_text("The walrus does giggle. " * 200)
    with catalog.begin() as connection:
        source = CorpusSource.model_validate({"path": "book"})
        corpora.register(connection, "corpus-book", "book", source, state="ready")
    given = {"model": "tiny", "corpus": "book", "chunk_tokens": 16, "chunks": 12, "chunks_per_document": "all"}
    spec = ExtractionSpec.model_validate(given | {"sites": ["blocks.0.hook_resid_post", "final_norm_out"]})
    job = insert_job(catalog, spec.model_dump(mode="json"), "extraction")
    sample = sample_chunks(SampleArguments(spec=spec), own_segment(settings, catalog, job, "sample"))
    written = [
        extract_shard(ShardArguments(spec=spec, shard=shard), own_segment(settings, catalog, job, f"extract-{shard}"))
        for shard in range(sample.shards)
    ]
    digest = digest_of(shard.sha256 for shard in written)
    arguments = PublishArguments(spec=spec, shards=sample.shards, sha256=digest)
    (folder / "sets.json").write_text(arguments.model_dump_json())
    return job
