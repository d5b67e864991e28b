"""Files of an extraction are changed after their segment wrote them and before anything is published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.artifacts.activation_set import ActivationSet
from service.artifacts.manifest import digest_of
from service.catalog import activations, corpora, jobs, segments
from service.catalog.engine import Catalog
from service.catalog.tables import activations as activations_table
from service.contracts.corpora import CorpusSource
from service.contracts.extraction import ExtractionSpec
from service.contracts.specs import read_spec
from service.errors import CorruptArtifact, Superseded
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from tests.databases.migrated import Databases
from tests.databases.soak import in_soak_all
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.extraction import publish as publishing
from workers.flows.extraction.arguments import PublishArguments, SampleArguments, Sampled, ShardArguments
from workers.flows.extraction.note import SAMPLE_NOTE
from workers.flows.extraction.publish import publish_sets
from workers.flows.extraction.sample import sample_chunks
from workers.flows.extraction.shards import extract_shard

SITES = ["blocks.0.hook_resid_post", "final_norm_out"]
VECTORS, CHUNKS = "site-00/shard-00001.safetensors", "rows-00001.safetensors"


def flip_last_byte(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))


def cut_to_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove_all(path: Path) -> None:
    """As an owner does that found damage, before it was thought dead and its segment was given to the next one."""
    shutil.rmtree(path.parent)


class Extraction:
    """The segments of one extraction, run here and now."""

    def __init__(self, settings: Settings, catalog: Catalog, spec: ExtractionSpec) -> None:
        self.settings, self.catalog, self.spec = settings, catalog, spec
        self.job = insert_job(catalog, spec.model_dump(mode="json"), "extraction")
        with catalog.begin() as connection:
            jobs.start(connection, self.job)

    @property
    def staging(self) -> Path:
        return self.settings.staging_root / self.job

    def own(self, name: str) -> SegmentOwner:
        return own_segment(self.settings, self.catalog, self.job, name)

    def extract(self) -> PublishArguments:
        """All but the publishing; returns the arguments of the segment that publishes."""
        sample = self.draw()
        assert sample.shards > 1
        digests = [self._extract_shard(shard) for shard in range(sample.shards)]
        return PublishArguments(spec=self.spec, shards=sample.shards, sha256=digest_of(digests))

    def draw(self) -> Sampled:
        return sample_chunks(SampleArguments(spec=self.spec), self.own("sample"))

    def _extract_shard(self, shard: int) -> str:
        return extract_shard(ShardArguments(spec=self.spec, shard=shard), self.own(f"extract-{shard}")).sha256

    def take_up(self) -> None:
        """As a retry does."""
        with self.catalog.begin() as connection:
            segments.invalidate_owners(connection, self.job)

    def retry(self) -> PublishArguments:
        self.take_up()
        return self.extract()

    def publish(self, whole: PublishArguments) -> list[bytes]:
        """The bytes of the published vectors."""
        publish_sets(whole, self.own("publish"))
        return self.published()

    @property
    def results(self) -> list[str]:
        with self.catalog.read() as connection:
            return [result.id for result in jobs.get(connection, self.job).results]

    def published(self) -> list[bytes]:
        """The bytes of the vectors that are the job's results."""
        with self.catalog.read() as connection:
            found = {set_id: activations.get(connection, set_id)[0].sha256 for set_id in self.results}
        sets = [ActivationSet(self.settings.artifacts_root / set_id, sha256) for set_id, sha256 in found.items()]
        return [stored.vectors().tobytes() for stored in sets]


@pytest.fixture(params=in_soak_all("sqlite"))
def settings(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Settings]:
    """These tests are of files; what the catalog does with them is tried on both databases elsewhere."""
    with databases.settings(request.param, tmp_path / "data") as made:
        yield made


@pytest.fixture
def extraction(settings: Settings, catalog: Catalog, tiny_model: Path) -> Callable[[], Extraction]:
    """Makes extractions that are all of the same vectors."""
    shutil.copytree(tiny_model, settings.models_root / "tiny")
    book = settings.corpora_root / "book" / "one.txt"
    book.parent.mkdir()
    book.write_text("The walrus does giggle. " * 200)
    given = settings.model_copy(update={"shard_tokens": 64, "torch_threads": 1})
    with catalog.begin() as connection:
        source = CorpusSource.model_validate({"path": "book"})
        corpora.register(connection, "corpus-book", "book", source, state="ready")
    spec = {"model": "tiny", "corpus": "book", "sites": SITES, "chunk_tokens": 16, "chunks": 12, "reuse": False}
    full = read_spec("extraction", spec | {"chunks_per_document": "all"})
    assert isinstance(full, ExtractionSpec)
    return lambda: Extraction(given, catalog, full)


@pytest.mark.parametrize(
    ("change", "name"),
    [(flip_last_byte, VECTORS), (flip_last_byte, CHUNKS), (cut_to_half, VECTORS), (remove_all, SAMPLE_NOTE)],
)
def test_what_was_changed_meanwhile_is_never_published(
    extraction: Callable[[], Extraction], change: Callable[[Path], None], name: str
):
    expected = (unbroken := extraction()).publish(unbroken.extract())
    broken = extraction()
    whole = broken.extract()
    change(broken.staging / name)
    with pytest.raises(CorruptArtifact):
        broken.publish(whole)
    with broken.catalog.read() as connection:
        assert jobs.get(connection, broken.job).results == []
    assert not broken.staging.exists()
    assert broken.publish(broken.extract()) == expected  # as a retry does


def test_chunks_that_cannot_be_read_fail_their_shard(extraction: Callable[[], Extraction]):
    expected = (unbroken := extraction()).publish(unbroken.extract())
    broken = extraction()
    broken.draw()
    cut_to_half(broken.staging / CHUNKS)
    with pytest.raises(CorruptArtifact):
        broken.extract()
    assert broken.publish(broken.extract()) == expected


def test_chunks_that_were_changed_before_their_shard_was_extracted_are_never_published(
    extraction: Callable[[], Extraction],
):
    expected = (unbroken := extraction()).publish(unbroken.extract())
    broken = extraction()
    broken.draw()
    flip_last_byte(broken.staging / CHUNKS)
    whole = broken.extract()
    with pytest.raises(CorruptArtifact):
        broken.publish(whole)
    assert broken.publish(broken.extract()) == expected


@pytest.mark.parametrize(("change", "name"), [(flip_last_byte, VECTORS), (flip_last_byte, CHUNKS)])
def test_a_retry_refuses_a_shard_that_was_changed_since_it_was_written(
    extraction: Callable[[], Extraction], change: Callable[[Path], None], name: str
):
    expected = (unbroken := extraction()).publish(unbroken.extract())
    cancelled = extraction()
    assert cancelled.extract() == cancelled.retry()  # what is there is kept
    change(cancelled.staging / name)
    with pytest.raises(CorruptArtifact):
        cancelled.retry()
    assert not cancelled.staging.exists()
    assert cancelled.publish(cancelled.retry()) == expected


def test_an_owner_that_was_replaced_removes_nothing(
    extraction: Callable[[], Extraction], monkeypatch: pytest.MonkeyPatch
):
    """One that stood still while the next one published finds its files gone, and knows that they are not its own."""
    made = extraction()
    whole = made.extract()
    late, describe, published = made.own("publish"), publishing._describe, []

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(publishing, "_describe", describe)
        published.append(made.publish(whole))
        return describe(*arguments)

    monkeypatch.setattr(publishing, "_describe", slow)
    with pytest.raises(Superseded):
        publish_sets(whole, late)
    assert made.published() == published[0]


def test_a_retry_keeps_what_is_published_whoever_made_it(extraction: Callable[[], Extraction]):
    """Another device, library or batch would give other last bits; the sets that are there stay the job's."""
    made = extraction()
    before = made.publish(made.extract())
    with made.catalog.begin() as connection:
        connection.execute(activations_table.update().values(reuse_key=None))
    made.take_up()
    assert made.draw().reused == made.results
    assert made.published() == before


def test_what_was_damaged_after_it_was_published_is_made_anew(extraction: Callable[[], Extraction]):
    made = extraction()
    before = made.publish(made.extract())
    flip_last_byte(made.settings.artifacts_root / made.results[0] / "shard-00001.safetensors")
    with pytest.raises(CorruptArtifact):
        made.published()
    made.take_up()
    assert made.draw().reused is None
    assert made.publish(made.extract()) == before
    assert len(made.results) == len(SITES)
