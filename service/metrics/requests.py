"""Measurements of the API process itself. Labels have few values: routes are templates, never paths."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_STATEMENT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)


class RequestMetrics:
    """Counts and latencies of requests, of questions to the query worker and of statements."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter("radius_http_requests", "Requests.", ("method", "route", "status"), registry=registry)
        self._latency = Histogram(
            "radius_http_request_duration_seconds",
            "Time until the answer began.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._queries = Histogram(
            "radius_query_duration_seconds",
            "Time in which the query worker answered, or did not.",
            ("outcome",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._statements = Histogram(
            "radius_database_statement_duration_seconds",
            "Time of a statement of the API in the database.",
            buckets=_STATEMENT_SECONDS,
            registry=registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `seconds` until its answer began."""
        self._count.labels(method, route, status).inc()
        self._latency.labels(method, route).observe(seconds)

    def observe_query(self, outcome: str, seconds: float) -> None:
        """Count a question: answered or failed."""
        self._queries.labels(outcome).observe(seconds)

    def observe_statement(self, seconds: float) -> None:
        """Count a statement."""
        self._statements.observe(seconds)
