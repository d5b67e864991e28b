"""The main job on PostgreSQL: real processes, one of them killed on the way."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from service.client import Client
from service.settings import Settings
from service.supervisor import Supervisor
from tests.end_to_end.conftest import ANALYSIS, PATIENCE_S
from tests.postgres.conftest import Server


def test_an_analysis_survives_a_kill(server: Server, tmp_path: Path, tiny_model: Path):
    shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    settings = Settings(
        data_dir=tmp_path, port=0, database_url=server.make_database(), shard_tokens=256, batch_tokens=64,
        progress_interval_s=0, restart_delay_s=0.1, takeover_interval_s=0.5, settle_interval_s=0.2,
    )  # fmt: skip
    supervisor = Supervisor(settings)
    supervisor.start()
    try:
        with Client(supervisor.url) as client:
            client.wait_until_ready()
            handle = client.submit("analysis", ANALYSIS | {"chunks": 600})
            deadline = time.monotonic() + PATIENCE_S
            while not ((job := handle.get()).progress.stage == "extract" and job.progress.done > 100):
                assert time.monotonic() < deadline, job
                time.sleep(0.05)
            process = supervisor.child("compute").process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
            done = handle.wait(timeout_s=PATIENCE_S)
            assert len(done.reports) == 2
            assert done.job.progress.done == done.job.progress.total
            assert [event.type for event in client.events(handle.id)][-1] == "succeeded"
    finally:
        supervisor.stop()
