"""Keeping the best and the last models: which stay, that none a job names is removed, what a death leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from service.catalog import inputs, jobs, training
from service.catalog.engine import Catalog
from service.contracts.specs import read_spec
from service.errors import InvalidInput
from service.jobs.references import check_references
from service.settings import Settings
from tests.api.products import insert_job
from tests.databases.soak import settings_on
from tests.training.segments import TrainingJob, prepared
from tests.training.test_state import until
from workers.flows.publishing import is_sound
from workers.flows.training import log as training_log
from workers.flows.training.superseded import is_regular, staying

SPEC: dict[str, Any] = {
    "preset": "smoke/f2",
    "steps": 12,
    "batch": 8,
    "eval_every": 2,
    "checkpoint_every": None,
    "log_every": 1,
    "data": {"train": 200, "val": 20, "test": 20, "generalisation": 21},
    "keep": {"best": True, "last": 2},
}
ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)  # of what has no share in the database
LOSSES = {2: 3.0, 4: 1.5, 6: 1.5, 8: 2.0, 10: 1.75, 12: 1.9}


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.flows.training.log.draw_training_figure", lambda run, rows, stem: [])


@pytest.fixture(autouse=True)
def _given_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation losses with a tie and a rise, which a real run of twelve steps does not have."""
    monkeypatch.setattr(training_log, "evaluate", lambda trainer: (LOSSES[trainer.step], {}))


def kept(job: TrainingJob) -> list[int]:
    """The steps of the kept models; each has sound files, and no other folder of a model is there."""
    with job.catalog.read() as connection:
        found = training.checkpoints(connection, job.run)
    folders = sorted((job.settings.artifacts_root / job.run).glob("step-*"))
    assert [folder.name for folder in folders] == [f"step-{checkpoint.step:08d}" for checkpoint in found]
    assert all(is_sound(folder) for folder in folders)
    assert [checkpoint.val_loss for checkpoint in found] == [LOSSES.get(checkpoint.step) for checkpoint in found]
    return [checkpoint.step for checkpoint in found]


def name(job: TrainingJob, step: int, **options: Any) -> str:
    """A job that names the model of a step, queued as the API queues it."""
    spec: Any = read_spec("extraction", {"model": f"run:{job.run}@{step}", "corpus": "python-docs", **options})
    with job.catalog.begin() as connection:
        check_references(connection, spec)
    return insert_job(job.catalog, spec.model_dump(mode="json"), "extraction")


@pytest.mark.parametrize(
    ("keep", "checkpoint_every", "expected"),
    [
        ({"best": True, "last": 2}, None, [4, 10, 12]),
        ({"best": True}, None, [4, 12]),
        ({"last": 3}, None, [8, 10, 12]),
        ({"best": True, "last": 3}, 5, [4, 5, 10, 12]),
        ({"best": True, "last": 100}, None, [2, 4, 6, 8, 10, 12]),
    ],
)
def test_the_best_and_the_last_models_stay(keep: Any, checkpoint_every: int | None, expected: list[int]):
    """Removal after every step; the earlier of two equal losses is the best."""
    spec: Any = read_spec("training", SPEC | {"keep": keep, "checkpoint_every": checkpoint_every})
    there, least = list[int](), (float("inf"), 0)
    for step in range(1, 13):
        better = LOSSES.get(step, float("inf")) < least[0]
        least = (LOSSES[step], step) if better else least
        if is_regular(spec, step) or (better and spec.keep.best):
            there.append(step)
        there = sorted(staying(there, least[1], spec, spec.keep))
    assert there == expected


@settings_on("postgresql")
def test_a_run_keeps_what_its_spec_says(settings: Settings, catalog: Catalog):
    job = prepared(settings, catalog, SPEC | {"checkpoint_every": 5})
    assert job.train(job.own()) == 12
    assert kept(job) == [4, 10, 12]
    assert [checkpoint.step for checkpoint in job.finish().checkpoints] == [4, 10, 12]


def test_the_newest_model_stays_where_it_is_neither_regular_nor_the_best():
    """That of a run that diverged at step 8."""
    spec: Any = read_spec("training", SPEC | {"checkpoint_every": 5, "keep": {"last": 1}})
    assert staying([5, 7], 4, spec, spec.keep) == {5, 7}
    assert staying([4, 5, 7, 10], 4, spec, spec.keep) == {10}
    assert staying([], None, spec, spec.keep) == set()


@settings_on("postgresql")
def test_a_model_that_a_job_names_stays(settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    job = prepared(settings, catalog, SPEC | {"keep": {"last": 1}})
    with monkeypatch.context() as patch:
        until(patch, 2)
        job.train(job.own())
    assert kept(job) == [2]
    reader = name(job, 2)
    assert job.train(job.own(1), 2) == 12
    assert kept(job) == [2, 12]
    insert_job(catalog, {"model": f"run:{job.run}0@6"})  # another run
    with catalog.begin() as connection:
        assert inputs.named_steps(connection, job.run) == {2}
        connection.execute(inputs.job_inputs.delete())
        connection.execute(inputs.jobs.update().values(inputs_recorded=False))  # as an older version leaves them
        assert inputs.named_steps(connection, job.run) == {2}
    with catalog.begin() as connection:  # its set answers questions by this model
        jobs.finish(connection, reader, "failed")
    job.finish()
    assert kept(job) == [2, 12]
    with catalog.begin() as connection:
        jobs.delete(connection, reader)
    job.finish()
    assert kept(job) == [12]
    with pytest.raises(InvalidInput, match="the run has kept no such model"):
        name(job, 2)


class Death(BaseException):
    """The worker dies here."""


@ON_SQLITE
@pytest.mark.parametrize(
    "at",
    [
        pytest.param("before the rows", marks=pytest.mark.long),
        "before the files",
        pytest.param("while the files are removed", marks=pytest.mark.long),
    ],
)
def test_a_worker_that_dies_while_removing_loses_nothing(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, at: str
):
    job = prepared(settings, catalog, SPEC)
    places = {
        "before the rows": "service.catalog.training.drop_checkpoints",
        "before the files": "workers.flows.training.superseded.remove",
        "while the files are removed": "shutil.rmtree",
    }
    real = shutil.rmtree

    def dies(*given: Any, **options: Any) -> None:
        if at == "while the files are removed" and "removed" not in str(given[0]):
            real(*given, **options)
            return
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(places[at], dies)
        with pytest.raises(Death):
            job.train(job.own())
    with catalog.read() as connection:
        recorded = {found.step for found in training.checkpoints(connection, job.run)}
    for step in recorded:
        assert is_sound(settings.artifacts_root / job.run / f"step-{step:08d}")
    assert job.train(job.own()) == 12
    assert kept(job) == [4, 10, 12]


@ON_SQLITE
@pytest.mark.long
def test_a_resumed_run_keeps_what_the_unbroken_one_keeps(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    whole, parts = (prepared(settings, catalog, SPEC) for _ in range(2))
    whole.train(whole.own())
    for part, step in enumerate((3, 4, 9)):
        with monkeypatch.context() as patch:
            until(patch, step)
            assert parts.train(parts.own(part)) == step
    parts.train(parts.own(3))
    assert kept(parts) == kept(whole)
    first, second = (job.finish().checkpoints for job in (whole, parts))
    assert [found.val_loss for found in first] == [found.val_loss for found in second]
    for step in kept(whole):
        paths = [_weights(job, step) for job in (whole, parts)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def _weights(job: TrainingJob, step: int) -> Path:
    return job.settings.artifacts_root / job.run / f"step-{step:08d}" / "model.safetensors"
