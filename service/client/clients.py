"""`Client` and `AsyncClient`: the calls of their sessions, and how each submits a job and waits for one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.client.asynchronous import AsyncSession
from service.client.blocking import Session
from service.client.calls import Calls
from service.client.outcome import Finished, Watch
from service.contracts.jobs import Job


@dataclass(frozen=True)
class Handle:
    """A submitted job."""

    client: Client
    id: str

    def get(self) -> Job:
        """The job as it is now."""
        return self.client.job(self.id)

    def wait(self, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """Block until the job has ended: `Client.wait`, which says what it raises."""
        return self.client.wait(self.id, watch, timeout_s=timeout_s)


class Client(Session):
    """Synchronous client; also a context manager."""

    def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        priority: int = 50,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Handle:
        """Submit a job; raises the service's error when it is refused.

        It is sent again while the service is away, under one `Idempotency-Key`: its own, or a random one.
        """
        call = Calls.submit(kind, spec, priority, labels or {}, idempotency_key or _new_key())
        return Handle(self, self._send_patiently(call).id)


class AsyncClient(AsyncSession):
    """The same calls, each to be awaited; also an asynchronous context manager."""

    async def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        priority: int = 50,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """`Client.submit`; returns the job as it was accepted."""
        call = Calls.submit(kind, spec, priority, labels or {}, idempotency_key or _new_key())
        return await self._send_patiently(call)

    async def wait(self, job_id: str, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """`AsyncSession.wait`; `timeout_s` also interrupts a request that is not answered."""
        async with asyncio.timeout(timeout_s):
            return await super().wait(job_id, watch)


def _new_key() -> str:
    return secrets.token_hex(16)
