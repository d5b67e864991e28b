"""`Client` and `AsyncClient`: the calls of their sessions, and how each submits a job and waits for one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import PrivateAttr

from service.client.asynchronous import AsyncSession
from service.client.blocking import Session
from service.client.calls import Calls
from service.client.notebook import ProgressLine, ShownEnergyReport, ShownRadiusReport, in_notebook
from service.client.outcome import Finished, Watch
from service.contracts.jobs import Job


@dataclass(frozen=True)
class Handle:
    """A submitted job."""

    client: Client = field(repr=False)
    id: str

    def get(self) -> Job:
        """The job as it is now."""
        return self.client.job(self.id)

    def wait(self, watch: Watch | None = None, *, timeout_s: float | None = None) -> Finished:
        """Block until the job has ended: `Client.wait`, which lists what it raises.

        Without a `watch` a notebook shows the progress in one line.
        """
        shown = ProgressLine() if in_notebook() else _ignore
        return self.client.wait(self.id, watch or shown, timeout_s=timeout_s)


class Client(Session):
    """Synchronous client; also a context manager."""

    def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        priority: int = 50,
        labels: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Handle:
        """Submit a job; raises the service's error when it is refused.

        It is sent again while the service is away, under one `Idempotency-Key`: its own, or a random one.

        Args:
            priority: 1 to 1000; lower runs first.
            timeout_s: longest time from start to end; a job that takes longer fails.
        """
        call = Calls.submit(kind, spec, priority, labels or {}, timeout_s, idempotency_key or _new_key())
        return Handle(self, self._send_patiently(call).id)

    def radius(self, report_id: str) -> ShownRadiusReport:
        """A radius report, which shows itself in a notebook."""
        return super().radius(report_id).attach(self.figure, self.neighbors_file)

    def energy(self, report_id: str) -> ShownEnergyReport:
        """An energy report, which shows itself in a notebook."""
        return super().energy(report_id).attach(self.figure, self.neighbors_file)


class SubmittedJob(Job):
    """A job as it was accepted. `await job` waits for its end, like `await job.wait()`."""

    _client: AsyncClient = PrivateAttr()

    def __eq__(self, other: object) -> bool:
        """Equal to the job as it is read later, while nothing changed."""
        return isinstance(other, Job) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.id)

    def __await__(self) -> Generator[Any, None, Finished]:
        return self.wait().__await__()

    async def wait(self, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """`AsyncClient.wait` for this job."""
        return await self._client.wait(self.id, watch, timeout_s=timeout_s)


class AsyncClient(AsyncSession):
    """The same calls, each to be awaited; also an asynchronous context manager."""

    async def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        priority: int = 50,
        labels: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> SubmittedJob:
        """`Client.submit`; returns the job as it was accepted, which can be awaited."""
        call = Calls.submit(kind, spec, priority, labels or {}, timeout_s, idempotency_key or _new_key())
        accepted = await self._send_patiently(call)
        made = SubmittedJob.model_validate_json(accepted.model_dump_json())
        made._client = self
        return made

    async def wait(self, job_id: str, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """`AsyncSession.wait`; `timeout_s` also interrupts a request that is not answered."""
        async with asyncio.timeout(timeout_s):
            return await super().wait(job_id, watch)


def _ignore(_job: Job) -> None: ...


def _new_key() -> str:
    return secrets.token_hex(16)
