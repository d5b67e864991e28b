"""The metrics of one API process, and their text."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics, exposition

from service import __version__
from service.metrics.disk import DiskMetrics
from service.metrics.requests import RequestMetrics
from service.metrics.stored import StoredMetrics
from service.settings import Settings

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """A registry of its own, so that several applications of one process have separate numbers."""

    def __init__(self, settings: Settings, streams: Callable[[], float]) -> None:
        disable_created_metrics()  # a second series for each counter, which nothing reads
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        self._stored = StoredMetrics(settings)
        for collector in (self._stored, DiskMetrics(settings)):
            self._registry.register(collector)
        Gauge("radius_event_streams", "Open event streams.", registry=self._registry).set_function(streams)
        Gauge("radius_info", "The version.", ("version",), registry=self._registry).labels(__version__).set(1)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return exposition.generate_latest(self._registry)

    def close(self) -> None:
        """Close the connections."""
        self._stored.close()
