"""A fleet that the tests of this room share, and the counts that they saw, told at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases.migrated import DATABASES, Databases
from tests.databases.soak import in_soak_all
from tests.faults.fleet import Fleet, running
from tests.faults.store import Template, make_template

Tally = Callable[..., None]
OPTIONS = {
    "shard_tokens": 256,
    "batch_tokens": 64,
    "torch_threads": 1,
    "null_queries": 10,
    "poll_interval_s": 0.1,
    "progress_interval_s": 0.05,
    "takeover_interval_s": 0.5,
    "lease_s": 4,
    "reconcile_interval_s": 0.3,
}
_told: list[str] = []


def on(database: str) -> pytest.MarkDecorator:
    """A fault that the short profile tries on one database, and the long one on both."""
    return pytest.mark.parametrize("fleet", in_soak_all(database), indirect=True)


@pytest.fixture
def tally(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Tally:
    """Tell a count that a test saw, in its record and in the summary at the end."""

    def tell(**counts: object) -> None:
        for name, value in counts.items():
            record_property(name, value)
        shown = ", ".join(f"{name} {value}" for name, value in counts.items())
        _told.append(f"{request.node.name}: {shown}")

    return tell


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _told:
        terminalreporter.section("faults tried")
        for line in _told:
            terminalreporter.write_line(line)


@pytest.fixture(scope="package", params=DATABASES)
def fleet(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
) -> Iterator[Fleet]:
    """The service that is killed; small shards and eager progress, so that a job has many places to die at."""
    folder = tmp_path_factory.mktemp(f"fleet-{request.param}")
    shutil.copytree(tiny_model, folder / "models" / "tiny")
    with databases.settings(request.param, folder, **OPTIONS) as settings, running(settings) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A data directory to copy."""
    return make_template(tmp_path_factory.mktemp("store") / "template")
