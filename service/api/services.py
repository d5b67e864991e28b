"""The objects that the routers use, built once per application."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import AfterValidator

from service.api.authorisation import PrincipalDep
from service.api.body_limits import BodyMemory
from service.api.evaluations import Evaluations
from service.api.event_feed import EventPoller
from service.api.query_proxy import QueryProxy
from service.api.readiness import Readiness
from service.artifacts.activation_set import ActivationSet
from service.artifacts.file_digests import FileDigests
from service.artifacts.report import PairOrders, pair_orders
from service.catalog import activations
from service.catalog.engine import Catalog, on_statement
from service.contracts.activations import ActivationStatistics, ActivationSummary
from service.contracts.base import Identifier
from service.errors import InvalidInput
from service.jobs.control import JobControl
from service.jobs.engine import JobEngine
from service.jobs.estimation import Estimation
from service.jobs.submission import Submission
from service.metrics.service import Metrics
from service.settings import Settings


@dataclass(frozen=True)
class Services:
    """One object for each thing that a route needs: the catalog, jobs, queries, readiness, events, caches of files."""

    settings: Settings
    catalog: Catalog
    submission: Submission
    estimation: Estimation
    control: JobControl
    queries: QueryProxy
    readiness: Readiness
    events: EventPoller
    metrics: Metrics
    bodies: BodyMemory
    evaluations: Evaluations
    figure1: dict[str, bytes] = field(default_factory=dict)
    digests: FileDigests = field(default_factory=FileDigests)
    pair_orders: PairOrders = field(default_factory=pair_orders)
    _of_projects: dict[str, Services] = field(default_factory=dict)

    def of(self, project: str) -> Services:
        """The same services, which see and change what belongs to one project only."""
        if project not in self._of_projects:
            catalog, engine = self.catalog.of(project), self.submission.engine
            submission = Submission(catalog, engine, self.settings)
            control = JobControl(catalog, engine, self.settings)
            self._of_projects[project] = replace(
                self, catalog=catalog, submission=submission, estimation=submission.estimation, control=control
            )
        return self._of_projects[project]

    def stored_set(self, set_id: str) -> tuple[ActivationSummary, ActivationStatistics, ActivationSet]:
        """A published activation set: its row, its statistics, its folder; raises `NotFound`."""
        with self.catalog.read() as connection:
            summary, statistics = activations.get(connection, set_id)
        folder = ActivationSet(self.settings.artifacts_root / set_id, summary.sha256, self.digests)
        return summary, statistics, folder

    def close(self) -> None:
        self.events.close()
        self.metrics.close()
        self.readiness.close()
        self.submission.engine.close()
        self.catalog.close()


def build_services(settings: Settings) -> Services:
    """Connections are made on first use, so this succeeds while the database is unreachable."""
    catalog = Catalog(settings.resolved_database_url, settings.database_answer_s)
    engine = JobEngine(settings.resolved_database_url, settings.database_answer_s)
    submission = Submission(catalog, engine, settings)
    events = EventPoller(catalog)
    metrics = Metrics(settings, lambda: events.streams)
    on_statement(catalog.engine, metrics.requests.observe_statement)
    return Services(
        settings,
        catalog,
        submission,
        submission.estimation,
        JobControl(catalog, engine, settings),
        QueryProxy(settings, metrics.requests.observe_query),
        Readiness(settings.resolved_database_url, settings.lease_s),
        events,
        metrics,
        BodyMemory(settings),
        Evaluations(settings),
    )


async def _services(request: Request, principal: PrincipalDep) -> Services:
    return request.app.state.services.of(principal.project)


async def _open_services(request: Request) -> Services:
    return request.app.state.services


ServicesDep = Annotated[Services, Depends(_services)]
# For operations that no project owns; they read none of its objects.
OpenServicesDep = Annotated[Services, Depends(_open_services)]


_DEFAULT_PAGE = 50


@dataclass(frozen=True)
class PageQuery:
    """`?limit=&after=` of a listing."""

    limit: int
    after: str | None


def _limit(
    services: ServicesDep,
    limit: Annotated[int | None, Query(ge=1, description="longest page; max_page of /v1/limits at most")] = None,
) -> int:
    most = services.settings.max_page
    if limit is not None and limit > most:
        raise InvalidInput(f"limit is at most {most}", field="limit")
    return min(_DEFAULT_PAGE, most) if limit is None else limit


LimitDep = Annotated[int, Depends(_limit)]


def _page_query(
    limit: LimitDep, after: Annotated[Identifier | None, Query(description="`next` of the page before")] = None
) -> PageQuery:
    return PageQuery(limit, after)


PageDep = Annotated[PageQuery, Depends(_page_query)]


def _probabilities(text: str) -> str:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError("give numbers from 0 to 1, separated by commas") from None
    if len(values) > 100 or not all(0 <= value <= 1 for value in values):
        raise ValueError("give at most 100 numbers from 0 to 1")
    return text


Probabilities = Annotated[str, AfterValidator(_probabilities), Query(max_length=2000)]
