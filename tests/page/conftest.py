"""A service with real results, and pages of a browser in which errors and requests to other hosts fail the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.client import Client
from service.contracts.training import MetricsRow
from service.ids import new_id
from service.supervisor import Supervisor
from tests.api.products import insert_run
from tests.databases.migrated import Databases
from tests.databases.soak import SOAK
from tests.end_to_end.conftest import OPTIONS, PATIENCE_S
from tests.page.browser import CHROMIUM

ANALYSIS = {
    "model": "tiny", "corpus": "python-docs", "sites": "all", "chunk_tokens": 16, "chunks": 64,
    "radius": {"statistics": True}, "energy": {"layers": "together"},
}  # fmt: skip
MANY_JOBS, MANY_STEPS = (10_000, 100_000) if SOAK else (1_000, 20_000)


@dataclass(frozen=True)
class Service:
    """A running service, and the paths of pages with results."""

    client: Client
    url: str
    results: dict[str, str]
    catalog: Catalog


@pytest.fixture(scope="session")
def service(databases: Databases, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(tiny_model, folder / "models" / "tiny")
    with databases.settings("sqlite", folder, **OPTIONS) as settings:
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            with Client(supervisor.url) as client:
                client.wait_until_ready()
                made = client.submit("analysis", ANALYSIS).wait(timeout_s=PATIENCE_S).job
                results = {result.type: result.href.removeprefix("/v1") for result in made.results}
                results["job"] = f"/jobs/{made.id}"
                catalog = Catalog(settings.resolved_database_url)
                yield Service(client, supervisor.url, results, catalog)
                catalog.close()
        finally:
            supervisor.stop()


@pytest.fixture(scope="session")
def long_curve(service: Service) -> str:
    """Path of a run with 20,000 logged steps, 100,000 in the soak."""
    run = insert_run(service.catalog)
    rows = [_row(step) for step in range(1, MANY_STEPS + 1)]
    with service.catalog.begin() as connection:
        training.record(connection, run, rows)
    return f"/training/{run}"


def _row(step: int) -> MetricsRow:
    evaluated = 2.0 if step % 1_000 == 0 else None
    return MetricsRow(step=step, tokens=step, train_loss=2 + 1 / step, val_loss=evaluated, lr=0.1, grad_norm=1)


@pytest.fixture(scope="session")
def many_jobs(service: Service) -> None:
    """Jobs that have ended, 10,000 in the soak."""
    for _ in range(MANY_JOBS // 100):
        with service.catalog.begin() as connection:
            for job_id in [new_id("job") for _ in range(100)]:
                row = {"id": job_id, "kind": "radius", "spec": {"activations": "none"}, "priority": 50, "labels": {}}
                jobs.insert(connection, row)
                jobs.start(connection, job_id)
                jobs.finish(connection, job_id, "succeeded")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def is_fault(said: ConsoleMessage, expected: str | None) -> bool:
    return said.type == "error" and not (expected is not None and said.text.startswith(expected))


@pytest.fixture
def open_page(browser: Browser, service: Service) -> Iterator[Callable[..., Page]]:
    """Opens a page by its path; at the end of the test it has written no error and asked no other host."""
    faults: list[str] = []
    contexts = []

    def opened(path: str, *, refused: bool = False, **options: object) -> Page:
        """With `refused` the service refuses a request of the page, which a browser writes to its console."""
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})  # pyright: ignore
        contexts.append(context)
        page = context.new_page()
        expected = "Failed to load resource" if refused else None
        page.on("console", lambda said: faults.append(said.text) if is_fault(said, expected) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        allowed = (service.url, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(allowed) else faults.append(asked.url))
        page.goto(service.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
