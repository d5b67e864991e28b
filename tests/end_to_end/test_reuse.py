"""Finished activation sets are used again, where they are what would be computed, and only there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from safetensors.numpy import load_file, save_file

from service.artifacts.activation_set import shard_name
from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.client import Finished
from service.errors import Conflict
from tests.end_to_end.conftest import ANALYSIS, Running
from tests.tiny import english

SPEC = ANALYSIS | {"chunks": 60, "seed": 77}


@pytest.fixture(scope="module")
def catalog(service: Running) -> Iterator[Catalog]:
    opened = Catalog(service.settings.resolved_database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def first(service: Running) -> Finished:
    return service.run("analysis", SPEC)


def stages(catalog: Catalog, done: Finished) -> set[str]:
    """What kinds of segments a job had."""
    query = sa.select(segments.c.stage).where(segments.c.job == done.job.id)
    with catalog.read() as connection:
        return set(connection.execute(query).scalars())


def codes(done: Finished) -> list[str]:
    return [notice.code for notice in done.job.warnings]


def extract(service: Running, **changes: Any) -> Finished:
    return service.run("extraction", SPEC | changes)


def test_an_identical_job_uses_the_sets_and_says_so(service: Running, catalog: Catalog, first: Finished):
    again = service.run("analysis", SPEC)
    assert again.activations == first.activations
    assert again.reports
    assert not set(again.reports) & set(first.reports)
    assert stages(catalog, first) == {"sample", "extract", "publish", "radius"}
    assert stages(catalog, again) == {"sample", "radius"}
    assert again.job.progress.done == again.job.progress.total == 2 * 60
    (notice,) = [notice for notice in again.job.warnings if notice.code == "reused"]
    assert all(name in notice.message for name in (first.job.id, *first.activations))
    (event,) = [event for event in service.client.events(again.job.id) if event.type == "reused"]
    assert event.data == {"job": first.job.id, "activations": first.activations}
    assert "reused" not in codes(first)
    for one, other in zip(first.reports, again.reports, strict=True):
        mine, theirs = service.client.radius(one), service.client.radius(other)
        assert mine.activations == theirs.activations
        same = {"fractions", "theory", "null_model", "partition", "certified_fraction", "warnings"}
        assert mine.model_dump(include=same) == theirs.model_dump(include=same)


def test_an_extraction_of_fewer_sites_uses_them_too(service: Running, catalog: Catalog, first: Finished):
    done = extract(service, sites=["final_norm_out"])
    assert done.activations == first.activations[1:]
    assert stages(catalog, done) == {"sample"}
    assert done.job.progress.done == done.job.progress.total == 60
    assert not (service.settings.staging_root / done.job.id).exists()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"reuse": False}, id="reuse"),
        pytest.param({"sites": ["final_norm_out", "blocks.0.hook_mlp_out"]}, id="sites", marks=pytest.mark.long),
        pytest.param({"position": 3}, id="position", marks=pytest.mark.long),
    ],
)
def test_what_is_asked_otherwise_is_computed(service: Running, catalog: Catalog, first: Finished, change: dict):
    done = extract(service, **change)
    assert not set(done.activations) & set(first.activations)
    assert "extract" in stages(catalog, done)
    assert codes(done) == []
    if change == {"reuse": False}:
        for one, other in zip(first.activations, done.activations, strict=True):
            assert (service.client.vectors(one) == service.client.vectors(other)).all()


@pytest.mark.long
def test_other_weights_under_the_same_name_are_another_model(service: Running):
    folder = service.settings.models_root / "changing"
    shutil.copytree(service.settings.models_root / "tiny", folder)
    before = extract(service, model="changing")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("ln_f.bias"))
    save_file(weights | {name: weights[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    after = extract(service, model="changing")
    assert not set(after.activations) & set(before.activations)
    assert codes(after) == []
    moved = service.client.vectors(after.activations[1]) - service.client.vectors(before.activations[1])
    assert moved == pytest.approx(1, abs=1e-5)


def test_another_text_under_the_same_name_is_another_corpus(service: Running):
    text = service.settings.corpora_root / "changing.txt"
    text.parent.mkdir(exist_ok=True)
    text.write_text("\n\n".join(english(6)))
    corpus = service.client.register_corpus(path="changing.txt", name="changing")
    before = extract(service, corpus=corpus.name)
    text.write_text("\n\n".join(reversed(english(6))))
    after = extract(service, corpus=corpus.name)
    assert not set(after.activations) & set(before.activations)
    assert codes(after) == []


@pytest.mark.long
def test_a_set_with_losses_serves_a_job_without_and_never_the_other_way(
    service: Running, catalog: Catalog, first: Finished
):
    with_loss = service.run("analysis", SPEC | {"loss": True, "radius": {"statistics": True, "fractions": [1.0]}})
    assert not set(with_loss.activations) & set(first.activations)
    for one, other in zip(first.activations, with_loss.activations, strict=True):
        assert (service.client.vectors(one) == service.client.vectors(other)).all()
    manifest = service.client.activations(with_loss.activations[0]).manifest
    assert 4 < manifest["loss"]["mean"] < 12
    report = service.client.radius(with_loss.reports[0])
    assert report.loss is not None
    assert report.loss.spearman.interval is not None
    assert len(report.loss.deciles or []) == 10
    assert np.mean(report.loss.deciles or []) == pytest.approx(manifest["loss"]["mean"])
    assert "reused" not in codes(with_loss)
    assert extract(service, loss=True).activations == with_loss.activations
    made = extract(service, seed=82, sites=["final_norm_out"], loss=True)
    without = extract(service, seed=82, sites=["final_norm_out"])
    assert without.activations == made.activations
    assert stages(catalog, without) == {"sample"}


def damage_by_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()  # the chunks are linked into several sets
    file.write_bytes(content)


@pytest.mark.long
@pytest.mark.parametrize(("damage", "seed"), [(damage_by_a_byte, 79), (Path.unlink, 80)], ids=["a byte", "a file"])
def test_a_damaged_set_is_computed_anew(service: Running, damage: Any, seed: int):
    spec = {"seed": seed, "sites": ["final_norm_out"]}
    broken = extract(service, **spec)
    damage(service.settings.artifacts_root / broken.activations[0] / shard_name(0))
    done = extract(service, **spec)
    assert done.activations != broken.activations
    assert codes(done) == []


@pytest.mark.long
def test_a_set_stays_while_another_job_uses_it(service: Running):
    spec = {"seed": 81, "sites": ["final_norm_out"]}
    maker, user = extract(service, **spec), extract(service, **spec)
    (set_id,) = user.activations
    with pytest.raises(Conflict, match="other jobs"):
        service.client.delete_job(maker.job.id)
    assert len(service.client.vectors(set_id)) == 60
    service.client.delete_job(user.job.id)
    assert len(service.client.vectors(set_id)) == 60
    service.client.delete_job(maker.job.id)
    assert not (service.settings.artifacts_root / set_id).exists()
