"""What a worker process was given, for the workflows, which the engine calls with plain arguments only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from service.catalog import segments
from service.catalog.engine import Catalog, Connection
from service.errors import Unavailable
from service.settings import Settings

Result = TypeVar("Result")
_PATIENCE_S = 600.0
_RETRY_S = 1.0


@dataclass(frozen=True)
class Runtime:
    """Settings, catalog, name and role of this worker process, and what it is at.

    Attributes:
        draining: it takes nothing more.
        working: it has a segment, and no room for another.
    """

    settings: Settings
    catalog: Catalog
    worker: str
    role: str = "compute"
    draining: threading.Event = field(default_factory=threading.Event)
    working: threading.Event = field(default_factory=threading.Event)
    _under_way: set[tuple[str | None, int]] = field(default_factory=set)

    @contextmanager
    def at(self, workflow_id: str | None) -> Iterator[None]:
        """While the function of a workflow runs in this thread."""
        here = workflow_id, threading.get_ident()
        self._under_way.add(here)
        try:
            yield
        finally:
            self._under_way.discard(here)

    def is_at(self, workflow_id: str) -> bool:
        """Whether the function of a workflow runs in this process."""
        return any(workflow_id == known for known, _ in tuple(self._under_way))

    @property
    def training_segment_s(self) -> float:
        """How long a training may keep this worker."""
        return self.settings.trainer_segment_s if self.role == "train" else self.settings.training_segment_s

    def staging(self, job_id: str) -> Path:
        """Where a job's unpublished files are."""
        return self.settings.staging_root / job_id

    def artifact(self, artifact_id: str) -> Path:
        return self.settings.artifacts_root / artifact_id

    def write(self, change: Callable[[Connection], Result]) -> Result:
        """Run `change` in a transaction, again while the database is away: an outage must not fail finished work.

        Raises:
            Unavailable: it was away for ten minutes.
        """
        return self._patiently(self.catalog.begin, change)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run `query`, as patiently."""
        return self._patiently(self.catalog.read, query)

    def _patiently(
        self, connect: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], Result]
    ) -> Result:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with connect() as connection:
                    return work(connection)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)


_current: Runtime | None = None


def set_runtime(runtime: Runtime) -> None:
    """Called once, before the engine is launched."""
    global _current
    _current = runtime


def runtime() -> Runtime:
    """What this process was given."""
    assert _current is not None, "set_runtime comes before the first workflow"
    return _current


@dataclass
class SegmentProgress:
    """Of one owner of a segment: writes how far it is, not more often than the setting says, and asks whether to go on.

    Each write raises `Cancelled` when the job was cancelled, and `Superseded` when another worker has the segment.
    """

    job_id: str
    name: str
    attempt: int
    _written: float = field(default=float("-inf"))

    def __call__(self, done: int, *, final: bool = False) -> None:
        current = runtime()
        if not final and time.monotonic() - self._written < current.settings.progress_interval_s:
            return
        self._written = time.monotonic()
        # Progress is only shown; a database that is away must not fail the work.
        with suppress(Unavailable), current.catalog.begin() as connection:
            segments.tick(connection, self.job_id, self.name, self.attempt, done=done)

    def check(self, connection: Connection) -> None:
        """Raise unless this owner may still publish; in the transaction that does."""
        segments.check(connection, self.job_id, self.name, self.attempt)
