"""A trainer of its own: several processes that `torchrun` starts, which others need not wait for."""

# One database: the processes of a trainer.

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.catalog import workers
from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.supervisor import environment
from tests.end_to_end.conftest import ON_SQLITE, PATIENCE_S, Running
from tests.end_to_end.test_training import curve, run_of

pytestmark = ON_SQLITE


@pytest.mark.long
def test_a_trainer_of_two_processes_takes_the_training(service: Running, tmp_path: Path):
    """`torchrun` on two processes, which sum their gradients by gloo; the losses are those of one but for rounding."""
    spec = {"preset": "smoke/f2", "steps": 20, "eval_every": 10, "model": {"dropout": 0.0}}
    alone = service.run("training", spec).job
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "workers.main"]
    shared = {"RADIUS_TRAINING_SEGMENT_S": "0.001"}  # of a worker that others wait for, which a trainer is not
    settings = environment(service.settings) | shared | {"RADIUS_WORKER_NAME": "pair", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        pair = subprocess.Popen([sys.executable, *command, "--role", "train"], env=settings, stdout=log, stderr=log)
    try:
        with closing(Catalog(service.settings.resolved_database_url)) as catalog:
            deadline = time.monotonic() + PATIENCE_S
            while not alive(catalog, "train-pair"):
                assert pair.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            together = service.run("training", spec).job
            assert trained_by(catalog, together.id) == ["train-pair"]
            waiting = service.client.submit("training", spec)  # routed to the pair, which is gone in a moment
    finally:
        pair.terminate()
        pair.wait(30)
    assert waiting.wait(timeout_s=PATIENCE_S).job.state == "succeeded"
    for first, second in zip(curve(service, run_of(alone)), curve(service, run_of(together)), strict=True):
        assert float(second["train_loss"]) == pytest.approx(float(first["train_loss"]), rel=1e-4)


def alive(catalog: Catalog, worker: str) -> bool:
    with catalog.read() as connection:
        return workers.any_alive(connection, worker, 3)


def trained_by(catalog: Catalog, job_id: str) -> list[str]:
    """The worker of each segment that trained."""
    query = sa.select(segments.c.worker).where(segments.c.job == job_id, segments.c.stage == "train")
    with catalog.read() as connection:
        return list(connection.execute(query).scalars())
