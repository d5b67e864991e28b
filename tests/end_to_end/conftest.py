"""A real service on each database: supervisor, API, control and compute workers as processes, on loopback."""

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
from tests.databases.migrated import Databases
from tests.databases.soak import in_soak_all

ANALYSIS = {
    "model": "tiny",
    "corpus": "python-docs",
    "sites": ["blocks.-1.hook_resid_post", "final_norm_out"],
    "chunk_tokens": 16,
    "chunks": 400,
    "chunks_per_document": "all",
}
EXTRACTION = ANALYSIS | {"chunks": 800, "reuse": False}  # long enough to be killed or cancelled in
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Running:
    settings: Settings
    supervisor: Supervisor
    client: Client

    @property
    def url(self) -> str:
        return self.supervisor.url

    def shards(self, set_id: str) -> dict[str, str]:
        """SHA-256 of every file of numbers of a set."""
        files = self.client.activations(set_id).manifest["files"]
        return {entry["name"]: entry["sha256"] for entry in files}

    def run(self, kind: str, spec: dict) -> Finished:
        return self.client.submit(kind, spec).wait(timeout_s=PATIENCE_S)


# Small shards and eager progress, so that a job has many places to be interrupted at.
OPTIONS = {
    "port": 0,
    "torch_threads": 1,
    "shard_tokens": 1024,
    "batch_tokens": 64,
    "poll_interval_s": 0.15,
    "progress_interval_s": 0,
    "restart_delay_s": 0.1,
    "takeover_interval_s": 0.5,
    "lease_s": 3,
    "reconcile_interval_s": 0.5,
    "cleanup_interval_s": 1,
    "corpus_scan_wait_s": 5,
}


# Neither a URL, nor markup, nor a printf format, and too long for the path of a socket.
AWKWARD = Path("run[1] [draft]") / "what?x=1" / "a%20b" / ("deep" * 20)
ON_SQLITE = pytest.mark.parametrize("service", ["sqlite"], indirect=True)  # of what has no share in the database


@pytest.fixture(scope="package", params=in_soak_all("sqlite"))
def service(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service") / AWKWARD
    shutil.copytree(tiny_model, folder / "models" / "tiny")
    with databases.settings(request.param, folder, **OPTIONS) as settings:
        yield from _running(settings)


def _running(settings: Settings) -> Iterator[Running]:
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
def unbroken(service: Running) -> Finished:
    """What `EXTRACTION` comes to when nothing happens to it."""
    return service.run("extraction", EXTRACTION)


@pytest.fixture(scope="package")
def analysis(service: Running) -> Finished:
    """One finished analysis that the tests look at."""
    return service.run("analysis", ANALYSIS)
