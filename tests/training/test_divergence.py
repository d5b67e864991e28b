"""A run whose losses stop being finite: its curve, the weights before and the reason are there afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

from service.artifacts.manifest import read_manifest
from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.contracts.sweeps import SweepSpec
from service.contracts.training import TrainingRun
from service.errors import NonFiniteData
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from tests.databases.soak import settings_on
from tests.training.segments import TrainingJob, prepared
from tests.training.test_state import until
from workers.flows.training.arguments import PrepareSweepArguments
from workers.flows.training.data import make_task
from workers.flows.training.sweep import prepare_sweep
from workers.flows.training.trainers import config_of
from workers.training.checkpoints import kept_name, read_kept
from workers.training.loop import Trainer

CPU = torch.device("cpu")
ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)  # of what has no share in the database
# Decay of ten times a rate of two multiplies every matrix by −19 a step: the loss is not finite at step 6, that of an
# evaluation one step before.
SPEC: dict[str, Any] = {
    "preset": "smoke/f2",
    "steps": 12,
    "batch": 8,
    "eval_every": 12,
    "checkpoint_every": None,
    "log_every": 1,
    "data": {"train": 200, "val": 20, "test": 20, "generalisation": 21},
    "optimisation": {"peak_lr": 2.0, "weight_decay": 10.0, "warmup_steps": 0, "schedule": "constant", "clip": 1e9},
}


@pytest.fixture
def job(settings: Settings, catalog: Catalog) -> TrainingJob:
    return prepared(settings, catalog, SPEC)


def diverge(job: TrainingJob, part: int = 0) -> NonFiniteData:
    with pytest.raises(NonFiniteData) as raised:
        job.train(job.own(part))
    return raised.value


def found(job: TrainingJob) -> TrainingRun:
    with job.catalog.read() as connection:
        return training.get(connection, job.run)


def weights_after(job: TrainingJob, steps: int) -> dict[str, torch.Tensor]:
    spec = job.arguments.spec
    trainer = Trainer(make_task(spec, job.settings.artifacts_root / job.run, CPU), config_of(spec, CPU))
    for _ in range(steps):
        trainer.advance()
    return trainer.task.model.state_dict()


def check_kept(job: TrainingJob, step: int) -> None:
    """Exactly one model is kept, that of `step`, with the weights that it had then."""
    (kept,) = found(job).checkpoints
    assert kept.step == step
    weights, about = read_kept(job.settings.artifacts_root / job.run / kept_name(step), kept.sha256)
    assert about["step"] == step
    for name, value in weights_after(job, step).items():
        assert torch.equal(weights[name], value), name


@settings_on("postgresql")
def test_the_curve_and_the_weights_before_the_bad_step_are_kept(job: TrainingJob, api: TestClient):
    error = diverge(job)
    expected = f"the loss is not finite at step 6; a lower peak_lr may help; run:{job.run}@5 has the weights before"
    assert error.detail == expected
    with job.catalog.begin() as connection:  # as the control worker does
        jobs.finish(connection, job.job, "failed", error.as_dict())
    run = api.get(f"/v1/training/{job.run}").json()
    assert (run["state"], run["error"]) == ("failed", {"code": "non_finite_data", "detail": expected})
    assert (run["step"], run["finished_at"]) == (5, None)
    rows = api.get(f"/v1/training/{job.run}/metrics").json()["data"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert run["losses"] == {"train_loss": rows[-1]["train_loss"]}
    assert api.get(f"/v1/training/{job.run}/figure.png").content.startswith(b"\x89PNG")
    assert api.get("/v1/training").json()["data"][0]["state"] == "failed"
    check_kept(job, 5)
    assert job.state().file.startswith("state-00000005-")


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.flows.training.log.draw_training_figure", lambda run, rows, stem: [])


@ON_SQLITE
@pytest.mark.usefixtures("_undrawn")
def test_a_retry_diverges_again_and_changes_nothing(job: TrainingJob):
    first, state, rows = diverge(job), job.state(), job.rows()
    assert diverge(job, 1).detail == first.detail
    assert (job.state(), job.rows()) == (state, rows)
    check_kept(job, 5)


@ON_SQLITE
@pytest.mark.usefixtures("_undrawn")
def test_after_a_bad_evaluation_the_weights_of_the_last_state_are_kept(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    job = prepared(settings, catalog, SPEC | {"eval_every": 5})
    with monkeypatch.context() as patch:
        until(patch, 3)
        assert job.train(job.own()) == 3
    state = job.state()
    error = diverge(job, 1)
    assert error.detail.startswith("val_loss is not finite at step 5; ")
    assert error.detail.endswith(f"; run:{job.run}@3 has the weights before")
    assert [(row.step, row.val_loss) for row in job.rows()] == [(step, None) for step in range(1, 6)]
    assert job.state() == state
    check_kept(job, 3)
    rows = job.rows()
    diverge(job, 2)  # a retry goes on from the state, not from the last row
    assert (job.rows(), job.state()) == (rows, state)


@ON_SQLITE
@pytest.mark.usefixtures("_undrawn")
def test_a_first_evaluation_that_is_bad_leaves_the_curve(settings: Settings, catalog: Catalog):
    job = prepared(settings, catalog, SPEC | {"eval_every": 5})
    assert diverge(job).detail.endswith("; no model was kept")
    assert [row.step for row in job.rows()] == [1, 2, 3, 4, 5]
    assert found(job).checkpoints == []


@ON_SQLITE
@pytest.mark.usefixtures("_undrawn")
def test_a_first_step_that_is_bad_keeps_the_initial_weights(settings: Settings, catalog: Catalog):
    job = prepared(settings, catalog, SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.training.sentences.SentenceTask.loss", _infinite)
        assert "at step 1; " in diverge(job).detail
    check_kept(job, 0)
    assert read_manifest(settings.artifacts_root / job.run / kept_name(0))["kind"] == "checkpoint"
    assert job.rows() == []


def _infinite(task: Any, batch: Any, weight: float) -> torch.Tensor:
    return next(task.model.parameters()).sum() * torch.inf


@settings_on("postgresql")
def test_a_run_of_a_sweep_has_a_state_of_its_own(settings: Settings, catalog: Catalog, api: TestClient):
    spec = SweepSpec(training=prepared(settings, catalog, SPEC).arguments.spec.model_dump(mode="json"), seeds=[0, 1, 2])
    job = insert_job(catalog, spec.model_dump(mode="json"), "sweep")
    owner = own_segment(settings, catalog, job, "prepare")
    made = prepare_sweep(PrepareSweepArguments(spec=spec), owner)
    bad, good, idle = (run.run for run in made.runs)
    error = {"code": "non_finite_data", "detail": "the loss is not finite at step 6"}
    with catalog.begin() as connection:
        training.fail(connection, bad, error)
        training.record(connection, good, [], step=3)

    def states() -> list[tuple[str, Any]]:
        runs = api.get(f"/v1/sweeps/{made.sweep}").json()["runs"]
        each = [api.get(f"/v1/training/{run}").json() for run in (bad, good, idle)]
        assert [(run["state"], run["error"]) for run in runs] == [(run["state"], run["error"]) for run in each]
        return [(run["state"], run["error"]) for run in each]

    assert states() == [("failed", error), ("running", None), ("queued", None)]
    with catalog.begin() as connection:
        jobs.request_cancel(connection, job)
        jobs.finish(connection, job, "cancelled")
    assert states() == [("failed", error), ("cancelled", None), ("cancelled", None)]
    with catalog.begin() as connection:
        jobs.retry(connection, job)
    prepare_sweep(PrepareSweepArguments(spec=spec), own_segment(settings, catalog, job, "prepare-again"))
    assert states() == [("queued", None), ("running", None), ("queued", None)]
