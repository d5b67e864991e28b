"""The state of one worker process: settings, catalog, name, role, and which workflows it is executing.

The job engine calls workflows with plain arguments only, so they find the state of their process by `runtime()`. All
other functions take what they need as an argument.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from service.catalog.engine import Catalog, Connection
from service.errors import Unavailable
from service.settings import Settings

Result = TypeVar("Result")
_OUTAGE_LIMIT_S = 600.0
_RETRY_S = 1.0


@dataclass(frozen=True)
class Runtime:
    """Settings, catalog, name and role of this worker process, and its work in progress.

    Attributes:
        draining: set when the process takes no further work.
        busy: set while a segment runs; the process has room for one.
        ended: number of segments that were done, failed or stopped since the process began.
    """

    settings: Settings
    catalog: Catalog
    worker: str
    role: str = "compute"
    draining: threading.Event = field(default_factory=threading.Event)
    busy: threading.Event = field(default_factory=threading.Event)
    ended: Counter[str] = field(default_factory=Counter)
    _executing: set[tuple[str | None, int]] = field(default_factory=set)

    @contextmanager
    def executing(self, workflow_id: str | None) -> Iterator[None]:
        """Mark a workflow as executing in this thread for the block."""
        entry = workflow_id, threading.get_ident()
        self._executing.add(entry)
        try:
            yield
        finally:
            self._executing.discard(entry)

    def is_executing(self, workflow_id: str) -> bool:
        """Whether the function of a workflow runs in this process."""
        return any(workflow_id == known for known, _ in tuple(self._executing))

    @property
    def training_segment_s(self) -> float:
        """Longest time that one training segment may occupy this worker, in seconds."""
        return self.settings.trainer_segment_s if self.role == "train" else self.settings.training_segment_s

    def staging(self, job_id: str) -> Path:
        """Folder of a job's unpublished files."""
        return self.settings.staging_root / job_id

    def artifact(self, artifact_id: str) -> Path:
        """Folder of a published product."""
        return self.settings.artifacts_root / artifact_id

    def write(self, change: Callable[[Connection], Result]) -> Result:
        """Run `change` in a transaction, again while the database is away: an outage must not fail finished work.

        Raises:
            Unavailable: the database was away for ten minutes.
        """
        return self._with_patience(self.catalog.begin, change)

    def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run `query`; repeat it as `write` does."""
        return self._with_patience(self.catalog.read, query)

    def _with_patience(
        self, connect: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], Result]
    ) -> Result:
        deadline = time.monotonic() + _OUTAGE_LIMIT_S
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
    """Set the state of this process, once, before the job engine is launched."""
    global _current
    _current = runtime


def runtime() -> Runtime:
    """The state of this process, for the functions that the job engine calls."""
    assert _current is not None, "set_runtime comes before the first workflow"
    return _current
