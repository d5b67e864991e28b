"""Training as a job: killed in the middle, and in the end the same numbers as a run that was not."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pyarrow.parquet as parquet
import pytest
import sqlalchemy as sa
from tensorboard.backend.event_processing import event_file_loader

from service.catalog import training
from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.client import Finished, JobFailed
from service.contracts.jobs import Job
from service.contracts.sweeps import SHARES
from service.errors import InvalidInput
from service.jobs.engine import COMPUTE_QUEUE, JobEngine
from tests.end_to_end.conftest import PATIENCE_S, Running

SPEC = {"preset": "smoke/f2", "eval_every": 10, "steps": 40}
RUNAWAY = {"peak_lr": 2.0, "weight_decay": 10.0, "warmup_steps": 0, "schedule": "constant", "clip": 1e9}
DIVERGING = SPEC | {"batch": 8, "log_every": 1, "optimisation": RUNAWAY}


def run_of(job: Job) -> str:
    assert job.result is not None
    assert job.result.type == "training"
    return job.result.id


def curve(service: Running, run: str) -> list[dict[str, str]]:
    text = httpx2.get(f"{service.url}/v1/training/{run}/metrics.csv").text
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def unbroken(service: Running) -> str:
    return run_of(service.run("training", SPEC).job)


def test_a_run_reports_its_losses_beside_the_entropy_of_its_data(service: Running, unbroken: str):
    run = service.client.training(unbroken)
    assert (run.step, run.steps) == (40, 40)
    assert run.reference_lines["unit"] == 1.0
    assert 0.8 < run.reference_lines["grammar_entropy"] < 1.1
    assert run.losses["val_loss"] is not None
    assert run.losses["val_loss"] < 4.5
    assert set(SHARES) < set(run.losses)  # a report shows these as shares, the others as nats
    parts = {"val_declarative", "val_task", "val_output"}
    assert set(run.losses) - set(SHARES) == {"train_loss", "train_loss_eval", "val_loss"} | parts
    assert run.data["splits"]["train"]["lines"] == 2_000
    beyond = run.evaluation["generalisation"]["all"]["first_word"]
    assert beyond["lines"] == 99
    assert run.evaluation["in_distribution"]["split"] == "test"
    assert run.losses["train_loss_eval"] is not None
    assert [kept.step for kept in run.checkpoints] == [20, 40]
    assert run.finished_at is not None


def test_its_metrics_and_figure_are_served(service: Running, unbroken: str):
    rows = httpx2.get(f"{service.url}/v1/training/{unbroken}/metrics?limit=5").json()
    assert [row["step"] for row in rows["data"]] == [5, 10, 15, 20, 25]
    following = httpx2.get(f"{service.url}/v1/training/{unbroken}/metrics?after={rows['next']}").json()
    assert [row["step"] for row in following["data"]] == [30, 35, 40]
    assert following["next"] is None
    assert len(curve(service, unbroken)) == 8
    for ending, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert service.client.figure(unbroken, ending).startswith(start)


@pytest.mark.long
def test_metrics_are_saved_for_other_tools(service: Running, unbroken: str, tmp_path: Path):
    radius = [sys.executable, "-m", "service.cli", "metrics", unbroken, "--url", service.url]
    code = os.environ | {"PYTHONPATH": os.getcwd()}
    for options in (["--file", "m.csv"], ["--file", "m.parquet"], ["--tensorboard", "events"]):
        subprocess.run([*radius, *options], cwd=tmp_path, check=True, env=code)
    assert (tmp_path / "m.csv").read_bytes() == service.client.metrics_file(unbroken, "csv")
    rows = service.client.metrics(unbroken)
    assert parquet.read_table(tmp_path / "m.parquet").column("train_loss").to_pylist() == [r.train_loss for r in rows]
    (file,) = (tmp_path / "events").iterdir()
    found = [
        (event.step, value.tensor.float_val[0])
        for event in event_file_loader.EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "train_loss"
    ]
    assert found == [(row.step, pytest.approx(row.train_loss, rel=1e-6)) for row in rows]
    assert subprocess.run([*radius, "--file", "m.xls"], cwd=tmp_path, check=False, env=code).returncode == 2


@pytest.mark.long
def test_a_killed_run_ends_with_the_same_numbers(service: Running, unbroken: str):
    handle = service.client.submit("training", SPEC)
    deadline = time.monotonic() + PATIENCE_S
    while not (job := handle.get()).progress.done or job.progress.stage != "train":
        assert job.state not in ("failed", "succeeded"), job
        assert time.monotonic() < deadline
    process = service.supervisor.child("compute").process
    assert process is not None
    process.kill()
    job = handle.wait(timeout_s=PATIENCE_S).job
    assert curve(service, run_of(job)) == curve(service, unbroken)
    first, second = service.client.training(unbroken), service.client.training(run_of(job))
    assert first.evaluation == second.evaluation
    with closing(Catalog(service.settings.resolved_database_url)) as catalog, catalog.read() as connection:
        hit = sa.select(segments.c.attempt, segments.c.deaths).where(
            segments.c.job == job.id, segments.c.stage == "train"
        )
        assert [tuple(row) for row in connection.execute(hit)] == [(2, 1)], "the kill hit no segment of the training"
        states = [training.state(connection, run.id) for run in (first, second)]
    assert states[0] is not None
    assert states[1] is not None
    assert states[0][1] == states[1][1], "weights and optimiser end with the same bits"


def test_a_radius_goes_before_a_training(service: Running, analysis: Finished, unbroken: str):
    """Both wait while the worker is busy; the radius came later and goes first, so it waits for one segment at most."""
    process = service.supervisor.child("compute").process
    assert process is not None
    engine = JobEngine(service.settings.resolved_database_url)
    with closing(engine), closing(Catalog(service.settings.resolved_database_url)) as catalog:
        process.send_signal(signal.SIGSTOP)
        try:
            handles = []
            for kind, spec in (("training", SPEC), ("radius", {"activations": analysis.activations[0]})):
                handles.append(service.client.submit(kind, spec))
                deadline = time.monotonic() + PATIENCE_S
                while not any(at.startswith(handles[-1].id) for at in engine.waiting(COMPUTE_QUEUE)):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGCONT)
        ids = [handle.wait(timeout_s=PATIENCE_S).job.id for handle in handles]
        begun = sa.select(segments.c.job).where(segments.c.job.in_(ids)).order_by(segments.c.started_at)
        with catalog.read() as connection:
            order = list(connection.execute(begun).scalars())
    assert order[0] == ids[1]
    assert set(order[1:]) == {ids[0]}


@pytest.mark.long
def test_the_other_experiment_runs_too(service: Running):
    run = service.client.training(run_of(service.run("training", {"preset": "smoke/f3", "steps": 20}).job))
    assert run.experiment == "openelm"
    assert run.losses["val_loss"] is not None
    assert run.losses["val_loss"] < run.reference_lines["uniform"]
    assert run.parameters["without_embeddings"] < run.parameters["total"]


def test_a_kept_model_feeds_the_radius(service: Running, unbroken: str):
    sites = ["blocks.-1.hook_mlp_out", "final_norm_out"]
    spec = {"model": f"run:{unbroken}", "corpus": "python-docs", "sites": sites, "chunk_tokens": 8, "chunks": 60}
    finished = service.run("analysis", spec)
    assert finished.job.spec["model"] == f"run:{unbroken}@40"
    kept = {checkpoint.step: checkpoint.sha256 for checkpoint in service.client.training(unbroken).checkpoints}
    detail = service.client.activations(finished.activations[0])
    assert detail.manifest["model"]["weights_sha256"] == {"model.safetensors": kept[40]}
    assert detail.d_model == 32
    assert len(finished.reports) == len(sites)
    answer = service.client.query(finished.activations[-1], texts=["the walrus does giggle ."])
    assert answer.results[0].tokens == 5


def test_a_model_that_was_not_kept_is_refused_by_name(service: Running, unbroken: str):
    for model in (f"run:{unbroken}@30", "run:run-00", "run:nothing"):
        with pytest.raises(InvalidInput) as caught:
            service.client.submit("extraction", {"model": model, "corpus": "python-docs"})
        assert [error["field"] for error in caught.value.errors] == ["spec.model"]


def test_a_run_that_diverges_is_there_with_its_reason(service: Running):
    handle = service.client.submit("training", DIVERGING)
    with pytest.raises(JobFailed, match=r"the loss is not finite at step \d+; .* has the weights before"):
        handle.wait(timeout_s=PATIENCE_S)
    job = service.client.job(handle.id)
    run = service.client.training(run_of(job))
    assert (run.state, run.error) == ("failed", job.error)
    assert [int(row["step"]) for row in curve(service, run.id)] == list(range(1, run.step + 1))
    assert service.client.figure(run.id).startswith(b"\x89PNG")
    assert [kept.model for kept in run.checkpoints] == [f"run:{run.id}@{run.step}"]


@pytest.mark.long
def test_the_best_and_the_last_models_of_a_run_are_kept(service: Running):
    spec = SPEC | {"checkpoint_every": None, "keep": {"best": True, "last": 1}, "eval_every": 5}
    run = service.client.training(run_of(service.run("training", spec).job))
    rows = {int(row["step"]): float(row["val_loss"]) for row in curve(service, run.id) if row["val_loss"]}
    best = min(rows, key=lambda step: (rows[step], step))
    assert [kept.step for kept in run.checkpoints] == sorted({best, 40})
    assert [kept.val_loss for kept in run.checkpoints] == [rows[kept.step] for kept in run.checkpoints]
    assert (run.state, run.error) == ("succeeded", None)


@pytest.mark.long
def test_the_radius_during_training(service: Running):
    run = service.client.training(run_of(service.run("training", {"preset": "smoke/f3-radius"}).job))
    sites = ["blocks.1.hook_resid_post", "final_norm_out"]
    assert [(point.step, point.site) for point in run.trajectory] == [
        (step, site) for step in (20, 40) for site in sites
    ]
    for point in run.trajectory:
        assert point.n == 100
        assert point.g >= point.nn_distance**2 > 0
        assert point.null_nn_distance > 0
    assert service.client.figure(run.id).startswith(b"\x89PNG")
    spec = {"model": f"run:{run.id}@20", "corpus": "python-docs", "sites": sites, "chunk_tokens": 16, "chunks": 50}
    assert len(service.run("extraction", spec | {"chunks_per_document": "all"}).activations) == 2
