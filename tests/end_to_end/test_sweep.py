"""A sweep as a job: every run of the grid, the table, the figure, the files; and what a worker's death leaves of it."""

from __future__ import annotations

import io
import time
from contextlib import closing

import httpx2
import pyarrow.parquet as parquet
import pytest
import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.client import JobFailed
from service.contracts.sweeps import Sweep
from tests.end_to_end.conftest import PATIENCE_S, Running

pytestmark = pytest.mark.long

RUNAWAY = {"peak_lr": 2.0, "weight_decay": 10.0, "warmup_steps": 0, "schedule": "constant", "clip": 1e9}
SPEC = {
    "preset": "smoke/table3",
    "training": {"steps": 20, "eval_every": 5, "window_steps": 4},
    "models": [{"name": "S1"}],
}


@pytest.fixture(scope="module")
def sweep(service: Running) -> Sweep:
    finished = service.run("sweep", SPEC)
    assert [result.type for result in finished.job.results] == ["sweep", *["training"] * 2]
    return service.client.sweep(finished.job.results[0].id)


def test_every_run_of_the_grid_is_there(sweep: Sweep):
    assert [(run.model, run.tokens, run.seed) for run in sweep.runs] == [
        ("S1", tokens, 0) for tokens in (20_000, 40_000)
    ]
    assert all(run.step == run.steps == 20 for run in sweep.runs)
    assert {(run.state, run.error) for run in sweep.runs} == {("succeeded", None)}
    assert sweep.finished_at is not None


def test_the_table_is_of_the_runs_own_losses(service: Running, sweep: Sweep):
    assert sweep.tables is not None
    assert set(sweep.tables) == {"before", "after"}
    for table in sweep.tables.values():
        assert [(row.model, [cell.tokens for cell in row.cells]) for row in table.rows] == [("S1", [20_000, 40_000])]
        for run, cell in zip(sweep.runs, table.rows[0].cells, strict=True):
            side = run.stopping and (run.stopping.before if table is sweep.tables["before"] else run.stopping.after)
            assert (cell.mse, cell.reason is None) == ((side.mse, True) if side else (None, False))
    run = sweep.runs[0]
    assert run.stopping is not None
    assert run.stopping.before is not None
    rows = httpx2.get(f"{service.url}/v1/training/{run.run}/metrics?limit=200").json()["data"]
    losses = {row["step"]: row["val_loss"] for row in rows if row["val_loss"] is not None}
    assert run.stopping.min_val_loss == min(losses.values())
    assert losses[run.stopping.step] == run.stopping.min_val_loss
    window = [row["train_loss"] for row in rows if run.stopping.step - 4 < row["step"] <= run.stopping.step]
    squares = [(loss - run.stopping.min_val_loss) ** 2 for loss in window]
    assert run.stopping.before.mse == pytest.approx(sum(squares) / len(squares))
    assert run.stopping.before.mse == pytest.approx(run.stopping.before.mean_gap**2 + run.stopping.before.variance)


def test_runs_share_the_sweeps_data_and_are_runs_like_others(service: Running, sweep: Sweep):
    first, last = (service.client.training(sweep.runs[place].run) for place in (0, -1))
    assert first.data["sha256"] == last.data["sha256"]
    assert (first.data["training_tokens"], last.data["training_tokens"]) == (20_000, 40_000)
    assert "train_loss_eval" in first.losses
    assert first.name == "smoke/table3: S1, D = 20,000, seed 0"
    assert not (service.settings.artifacts_root / first.id / "data").exists()


def test_figures_and_parquet_are_served(service: Running, sweep: Sweep):
    assert service.client.figure(sweep.id).startswith(b"\x89PNG")
    assert [found["id"] for found in httpx2.get(f"{service.url}/v1/sweeps").json()["data"]][-1:] == [sweep.id]
    answer = httpx2.get(f"{service.url}/v1/training/{sweep.runs[0].run}/metrics.parquet")
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column("step").to_pylist() == list(range(1, 21))
    assert table.column("val_loss").null_count == 16
    assert table.column("train_loss_eval").null_count == 16


def wait_for_row(catalog: Catalog, job_id: str, wanted: sa.ColumnElement[bool]) -> None:
    """Until a segment of the job is as wanted."""
    query, deadline = sa.select(segments.c.name).where(segments.c.job == job_id, wanted), time.monotonic() + PATIENCE_S
    while True:
        with catalog.read() as connection:
            if connection.execute(query).first() is not None:
                return
        assert time.monotonic() < deadline, f"no segment of {job_id} is {wanted}"
        time.sleep(0.01)


def test_a_killed_worker_changes_no_number(service: Running, sweep: Sweep):
    handle, here = service.client.submit("sweep", SPEC), segments.c.stage == "train"
    with closing(Catalog(service.settings.resolved_database_url)) as catalog:
        wait_for_row(catalog, handle.id, here & segments.c.running & (segments.c.done >= 5))
        process = service.supervisor.child("compute").process
        assert process is not None
        process.kill()
        finished = handle.wait(timeout_s=PATIENCE_S)
        wait_for_row(catalog, handle.id, here & (segments.c.deaths == 1) & (segments.c.attempt == 2))
    again = service.client.sweep(finished.job.results[0].id)
    assert again.tables == sweep.tables
    assert [run.stopping for run in again.runs] == [run.stopping for run in sweep.runs]


def test_a_run_that_fails_says_why_in_the_sweep(service: Running):
    training = {"preset": "smoke/f2", "steps": 40, "batch": 8, "log_every": 1, "optimisation": RUNAWAY}
    handle = service.client.submit("sweep", {"training": training, "seeds": [0, 1]})
    with pytest.raises(JobFailed, match="is not finite at step"):
        handle.wait(timeout_s=PATIENCE_S)
    job = service.client.job(handle.id)
    found = service.client.sweep(job.results[0].id)
    assert [run.state for run in found.runs] == ["failed", "failed"]
    for run in found.runs:
        assert run.error is not None
        assert run.error["code"] == "non_finite_data"
        assert service.client.training(run.run).error == run.error
    assert job.error == found.runs[0].error


def test_seeds_of_question_formation_learn_the_same_lines(service: Running):
    training = {"preset": "smoke/f2", "steps": 10, "eval_every": 5, "seed": 3}
    job = service.run("sweep", {"training": training, "seeds": [0, 1]}).job
    found = service.client.sweep(job.results[0].id)
    assert found.tables is None
    first, second = (service.client.training(run.run) for run in found.runs)
    assert first.spec["data"]["seed"] == second.spec["data"]["seed"] == 3
    assert first.data["sha256"] == second.data["sha256"]
    assert first.losses["train_loss"] != second.losses["train_loss"]
    assert found.seeds is not None
    for seed, run in zip(found.seeds, (first, second), strict=True):
        names = ("val_loss", "val_first_auxiliary", "gen_first_word", "gen_move_first")
        assert (seed.run, seed.step) == (run.id, 10)
        assert {name: getattr(seed, name) for name in names} == {name: run.losses[name] for name in names}
    assert service.client.figure(found.id).startswith(b"\x89PNG")
