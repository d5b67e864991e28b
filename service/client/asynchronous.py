"""The client whose calls are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import numpy as np
from safetensors.numpy import load as load_safetensors

from service.client.calls import Answer, Call, Calls, Points, bearer, read_answer, shard_files, stream_of
from service.client.outcome import Finished, Watch, outcome_of
from service.contracts.activations import ActivationDetail, ActivationSummary
from service.contracts.corpora import Corpus
from service.contracts.energy import Evaluation
from service.contracts.energy_report import EnergyReport
from service.contracts.estimates import Estimate
from service.contracts.jobs import Job, JobEvent
from service.contracts.query import QueryAnswer
from service.contracts.radius import NeighborPair, RadiusReport
from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow, TrainingRun
from service.errors import Unavailable

Array = np.ndarray
_POLL_S = 0.25


class AsyncClient:
    """The same calls, to be awaited."""

    def __init__(
        self, base_url: str = "http://127.0.0.1:8000", *, api_key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=timeout_s, headers=bearer(api_key))

    async def submit(
        self, kind: str, spec: Mapping[str, Any], *, priority: int = 50, labels: Mapping[str, str] | None = None
    ) -> Job:
        return await self._send(Calls.submit(kind, spec, priority, labels or {}))

    async def estimate(self, kind: str, spec: Mapping[str, Any]) -> Estimate:
        return await self._send(Calls.estimate(kind, spec))

    async def job(self, job_id: str) -> Job:
        return await self._send(Calls.job(job_id))

    async def wait(self, job_id: str, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """Wait until a job ended; raises `JobFailed`, or `TimeoutError` when it takes longer."""
        async with asyncio.timeout(timeout_s):
            while True:
                job = await self.job(job_id)
                watch(job)
                if (finished := outcome_of(job)) is not None:
                    return finished
                await asyncio.sleep(_POLL_S)

    async def jobs(self, limit: int = 50) -> AsyncIterator[Job]:
        after: str | None = None
        while True:
            page, after = await self._send(Calls.jobs(limit, after))
            for job in page:
                yield job
            if after is None:
                return

    async def cancel(self, job_id: str) -> Job:
        return await self._send(Calls.control(job_id, "cancel"))

    async def retry(self, job_id: str) -> Job:
        return await self._send(Calls.control(job_id, "retry"))

    async def delete_job(self, job_id: str) -> None:
        await self._send(Calls.delete_job(job_id))

    async def events(self, job_id: str, *, after: int = 0) -> list[JobEvent]:
        return (await self._send(Calls.events(job_id, after)))[0]

    async def register_corpus(self, **fields: Any) -> Corpus:
        return await self._send(Calls.register_corpus(fields))

    async def upload_corpus(self, path: Path, **fields: str) -> Corpus:
        with path.open("rb") as stream:
            return await self._send(Calls.upload_corpus(path, fields, stream))

    async def import_vectors(self, source: Path | Array, name: str = "imported") -> ActivationSummary:
        with stream_of(source) as stream:
            return await self._send(Calls.import_vectors(name, stream))

    async def activations(self, set_id: str) -> ActivationDetail:
        return await self._send(Calls.activations(set_id))

    async def vectors(self, set_id: str) -> Array:
        names = shard_files(await self.activations(set_id))
        parts = [load_safetensors(await self._send(Calls.file(set_id, name)))["vectors"] for name in names]
        return np.concatenate(parts)

    async def radius(self, report_id: str) -> RadiusReport:
        return await self._send(Calls.radius(report_id))

    async def neighbors(self, report_id: str, *, order: str = "closest", limit: int = 20) -> list[NeighborPair]:
        return (await self._send(Calls.neighbors(report_id, order, limit)))[0]

    async def energy(self, report_id: str) -> EnergyReport:
        return await self._send(Calls.energy(report_id))

    async def training(self, run_id: str) -> TrainingRun:
        return await self._send(Calls.training(run_id))

    async def metrics(self, run_id: str) -> list[MetricsRow]:
        rows: list[MetricsRow] = []
        following: str | None = "0"
        while following is not None:
            page, following = await self._send(Calls.metrics(run_id, int(following)))
            rows += page
        return rows

    async def metrics_file(self, run_id: str, ending: str = "csv") -> bytes:
        return await self._send(Calls.metrics_file(run_id, ending))

    async def sweep(self, sweep_id: str) -> Sweep:
        return await self._send(Calls.sweep(sweep_id))

    async def evaluate(self, patterns: Points, queries: Points, beta: float = 1.0) -> Evaluation:
        return await self._send(Calls.evaluate(patterns, queries, beta))

    async def query(
        self,
        set_id: str,
        *,
        texts: Sequence[str] | None = None,
        vectors: Points | None = None,
        k: int = 10,
        beta: float = 1.0,
    ) -> QueryAnswer:
        return await self._send(Calls.query(set_id, texts, vectors, k, beta))

    async def figure(self, report_id: str, ending: str = "png") -> bytes:
        return await self._send(Calls.figure(report_id, ending))

    async def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for a service that is starting; raises `Unavailable`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return await self._send(Calls.ready())
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def _send(self, call: Call[Answer]) -> Answer:
        try:
            response = await self._http.request(call.method, call.path, **call.options)
        except httpx2.TransportError as error:
            raise Unavailable("the service cannot be reached") from error
        return read_answer(call, response)
