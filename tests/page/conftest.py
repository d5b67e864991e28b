"""A service with real results, and pages of a browser in which errors and requests to other hosts fail the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.client import Client
from service.contracts.training import MetricsRow
from service.ids import new_id
from service.supervisor import Supervisor
from tests.api.products import insert_run
from tests.databases.migrated import Databases
from tests.databases.soak import SOAK
from tests.page.browser import launched
from tests.tiny import make_gpt2

ANALYSIS = {
    "model": "tiny", "corpus": "python-docs", "sites": "all", "chunk_tokens": 16, "chunks": 64,
    "radius": {"statistics": True, "fractions": [0.5, 1.0]}, "energy": {"layers": "together"},
}  # fmt: skip
OPTIONS = {"port": 0, "torch_threads": 1, "poll_interval_s": 0.1, "restart_delay_s": 0.1}
PATIENCE_S = 300.0
MANY_JOBS, MANY_STEPS = (10_000, 100_000) if SOAK else (200, 5_000)


@dataclass(frozen=True)
class Service:
    """A running service."""

    client: Client
    url: str
    catalog: Catalog

    def run(self, spec: dict) -> dict[str, str]:
        """Paths of the pages of an analysis and of its last products, by type."""
        made = self.client.submit("analysis", spec).wait(timeout_s=PATIENCE_S).job
        pages = {result.type: result.href.removeprefix("/v1") for result in made.results}
        return pages | {"job": f"/jobs/{made.id}"}


@pytest.fixture(scope="session")
def service(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("page")
    make_gpt2(folder / "models" / "tiny", n_layer=2)
    with databases.settings("sqlite", folder, **OPTIONS) as settings:
        supervisor = Supervisor(settings)
        supervisor.start()
        try:
            with Client(supervisor.url) as client, closing(Catalog(settings.resolved_database_url)) as catalog:
                client.wait_until_ready()
                yield Service(client, supervisor.url, catalog)
        finally:
            supervisor.stop()


@pytest.fixture(scope="session")
def results(service: Service) -> dict[str, str]:
    """Paths of pages with real results of every kind that an analysis makes."""
    return service.run(ANALYSIS)


@pytest.fixture(scope="session")
def long_curve(service: Service) -> str:
    """Path of a run with many logged steps, 100,000 in the soak."""
    return insert_curve(service.catalog, MANY_STEPS)


def insert_curve(catalog: Catalog, steps: int) -> str:
    """Path of a new run with that many logged steps."""
    run = insert_run(catalog)
    with catalog.begin() as connection:
        training.record(connection, run, [_row(step) for step in range(1, steps + 1)])
    return f"/training/{run}"


def _row(step: int) -> MetricsRow:
    evaluated = 2.0 if step % 1_000 == 0 else None
    return MetricsRow(step=step, tokens=step, train_loss=2 + 1 / step, val_loss=evaluated, lr=0.1, grad_norm=1)


@pytest.fixture(scope="session")
def many_jobs(service: Service) -> None:
    """Jobs that have ended, 10,000 in the soak."""
    insert_jobs(service.catalog, MANY_JOBS)


def insert_jobs(catalog: Catalog, count: int) -> None:
    """Jobs that have ended, a hundred in each transaction."""
    row = {"kind": "radius", "spec": {"activations": "none"}, "priority": 50, "labels": {}}
    for _ in range(count // 100):
        with catalog.begin() as connection:
            for job_id in [new_id("job") for _ in range(100)]:
                jobs.insert(connection, row | {"id": job_id})
                jobs.start(connection, job_id)
                jobs.finish(connection, job_id, "succeeded")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


def is_fault(said: ConsoleMessage, expected: str | None) -> bool:
    return said.type == "error" and not (expected is not None and said.text.startswith(expected))


@pytest.fixture
def open_url(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page by its address; at the end of the test it has written no error and asked no other host."""
    faults: list[str] = []
    contexts = []

    def opened(url: str, *, refused: bool = False, **options: object) -> Page:
        """With `refused` the service refuses a request of the page, which a browser writes to its console."""
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})  # pyright: ignore
        contexts.append(context)
        page = context.new_page()
        expected = "Failed to load resource" if refused else None
        page.on("console", lambda said: faults.append(said.text) if is_fault(said, expected) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        allowed = ("/".join(url.split("/")[:3]) + "/", "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(allowed) else faults.append(asked.url))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def open_page(open_url: Callable[..., Page], service: Service) -> Callable[..., Page]:
    """Opens a page of the service by its path, as `open_url`."""
    return lambda path, **options: open_url(service.url + path, **options)
