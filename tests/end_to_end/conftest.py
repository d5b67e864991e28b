"""A real service: supervisor, API, control and compute workers as processes, on SQLite, on loopback."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.client import Client, Finished
from service.settings import Settings
from service.supervisor import Supervisor

ANALYSIS = {
    "model": "tiny",
    "corpus": "python-docs",
    "sites": ["blocks.-1.hook_resid_post", "final_norm_out"],
    "chunk_tokens": 16,
    "chunks": 400,
    "chunks_per_document": "all",
}
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Running:
    settings: Settings
    supervisor: Supervisor
    client: Client

    @property
    def url(self) -> str:
        return self.supervisor.url

    def run(self, kind: str, spec: dict) -> Finished:
        return self.client.submit(kind, spec).wait(timeout_s=PATIENCE_S)


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(tiny_model, folder / "models" / "tiny")
    # Small shards and eager progress, so that a job has many places to be interrupted at.
    settings = Settings(
        data_dir=folder,
        port=0,
        shard_tokens=256,
        batch_tokens=64,
        progress_interval_s=0,
        restart_delay_s=0.1,
        takeover_interval_s=0.5,
        lease_s=3,
        settle_interval_s=0.2,
        sweep_interval_s=0.5,
    )
    supervisor = Supervisor(settings)
    supervisor.start()
    try:
        with Client(supervisor.url) as client:
            client.wait_until_ready()
            deadline = time.monotonic() + PATIENCE_S
            while not settings.query_socket.exists():
                assert time.monotonic() < deadline, "the query worker does not start"
                time.sleep(0.05)
            yield Running(settings, supervisor, client)
    finally:
        supervisor.stop()


@pytest.fixture(scope="package")
def analysis(service: Running) -> Finished:
    """One finished analysis that the tests look at."""
    return service.run("analysis", ANALYSIS)
