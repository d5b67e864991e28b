"""The Python client: `Client` and, with `await` before each call, `AsyncClient`.

with Client("http://127.0.0.1:8000") as client:
    job = client.submit("analysis", {"preset": "small/f1"}).wait()
    report = client.radius(job.reports[0])
    vectors = client.vectors(report.activations)      # (n, d_model) numpy array
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx2
import numpy as np
from safetensors.numpy import load as load_safetensors

from service.contracts.activations import ActivationDetail, ActivationSummary
from service.contracts.corpora import Corpus
from service.contracts.energy import Evaluation
from service.contracts.energy_report import EnergyReport
from service.contracts.jobs import FINAL_STATES, Job, JobEvent
from service.contracts.query import QueryAnswer
from service.contracts.radius import NeighborPair, RadiusReport
from service.errors import RadiusError, Unavailable, error_from_dict

Array = np.ndarray
Points = Array | Sequence[Sequence[float]]
Answer = TypeVar("Answer")
Watch = Callable[[Job], None]
_POLL_S = 0.25


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request and how to read its answer; the two clients differ only in how they send it."""

    method: str
    path: str
    read: Callable[[httpx2.Response], Answer]
    options: Mapping[str, Any]


class JobFailed(RadiusError):
    """A job that was waited for ended in another state than `succeeded`."""

    code = "job_failed"


@dataclass(frozen=True)
class _Calls:
    """The calls, as data."""

    @staticmethod
    def submit(kind: str, spec: Mapping[str, Any], priority: int, labels: Mapping[str, str]) -> Call[Job]:
        body = {"kind": kind, "spec": dict(spec), "priority": priority, "labels": dict(labels)}
        return Call("POST", "/v1/jobs", _model(Job), {"json": body})

    @staticmethod
    def job(job_id: str) -> Call[Job]:
        return Call("GET", f"/v1/jobs/{job_id}", _model(Job), {})

    @staticmethod
    def jobs(limit: int, after: str | None) -> Call[tuple[list[Job], str | None]]:
        params = {"limit": limit} | ({"after": after} if after else {})
        return Call("GET", "/v1/jobs", _page(Job), {"params": params})

    @staticmethod
    def control(job_id: str, verb: str) -> Call[Job]:
        return Call("POST", f"/v1/jobs/{job_id}/{verb}", _model(Job), {})

    @staticmethod
    def delete_job(job_id: str) -> Call[None]:
        return Call("DELETE", f"/v1/jobs/{job_id}", lambda response: None, {})

    @staticmethod
    def events(job_id: str, after: int) -> Call[tuple[list[JobEvent], str | None]]:
        return Call("GET", f"/v1/jobs/{job_id}/events", _page(JobEvent), {"params": {"after": after}})

    @staticmethod
    def register_corpus(fields: Mapping[str, Any]) -> Call[Corpus]:
        return Call("POST", "/v1/corpora", _model(Corpus), {"json": dict(fields)})

    @staticmethod
    def upload_corpus(path: Path, fields: Mapping[str, str], stream: Any) -> Call[Corpus]:
        return Call(
            "POST", "/v1/corpora", _model(Corpus), {"files": {"file": (path.name, stream)}, "data": dict(fields)}
        )

    @staticmethod
    def import_vectors(name: str, stream: Any) -> Call[ActivationSummary]:
        options = {"files": {"file": ("vectors", stream)}, "data": {"name": name}}
        return Call("POST", "/v1/activations", _model(ActivationSummary), options)

    @staticmethod
    def activations(set_id: str) -> Call[ActivationDetail]:
        return Call("GET", f"/v1/activations/{set_id}", _model(ActivationDetail), {})

    @staticmethod
    def file(set_id: str, name: str) -> Call[bytes]:
        return Call("GET", f"/v1/activations/{set_id}/files/{name}", lambda response: response.content, {})

    @staticmethod
    def radius(report_id: str) -> Call[RadiusReport]:
        return Call("GET", f"/v1/radius/{report_id}", _model(RadiusReport), {})

    @staticmethod
    def neighbors(report_id: str, order: str, limit: int) -> Call[tuple[list[NeighborPair], str | None]]:
        params = {"order": order, "limit": limit}
        return Call("GET", f"/v1/radius/{report_id}/neighbors", _page(NeighborPair), {"params": params})

    @staticmethod
    def energy(report_id: str) -> Call[EnergyReport]:
        return Call("GET", f"/v1/energy/{report_id}", _model(EnergyReport), {})

    @staticmethod
    def evaluate(patterns: Points, queries: Points, beta: float) -> Call[Evaluation]:
        body = {"patterns": _rows(patterns), "queries": _rows(queries), "beta": beta}
        return Call("POST", "/v1/energy/evaluate", _model(Evaluation), {"json": body})

    @staticmethod
    def query(
        set_id: str, texts: Sequence[str] | None, vectors: Points | None, k: int, beta: float
    ) -> Call[QueryAnswer]:
        body: dict[str, Any] = {"k": k, "beta": beta}
        body |= {} if texts is None else {"texts": list(texts)}
        body |= {} if vectors is None else {"vectors": _rows(vectors)}
        return Call("POST", f"/v1/activations/{set_id}/query", _model(QueryAnswer), {"json": body})

    @staticmethod
    def figure(report_id: str, ending: str) -> Call[bytes]:
        noun = "energy" if report_id.startswith("energy-") else "radius"
        return Call("GET", f"/v1/{noun}/{report_id}/figure.{ending}", lambda response: response.content, {})

    @staticmethod
    def ready() -> Call[None]:
        return Call("GET", "/readyz", lambda response: None, {})


@dataclass(frozen=True)
class Handle:
    """A submitted job."""

    client: Client
    id: str

    def get(self) -> Job:
        return self.client.job(self.id)

    def wait(self, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """Block until the job ended; `watch` sees each state on the way.

        Raises:
            JobFailed: it ended otherwise than `succeeded`; the message is the job's error.
            TimeoutError: it takes longer than `timeout_s`; the job goes on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            job = self.get()
            watch(job)
            if job.state in FINAL_STATES:
                return _finished(job)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is still {job.state} after {timeout_s} s")
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class Finished:
    """A job that succeeded, and its products' ids."""

    job: Job

    @property
    def reports(self) -> list[str]:
        return [result.id for result in self.job.results if result.type == "radius"]

    @property
    def energies(self) -> list[str]:
        return [result.id for result in self.job.results if result.type == "energy"]

    @property
    def activations(self) -> list[str]:
        return [result.id for result in self.job.results if result.type == "activations"]


class Client:
    """Synchronous client; also a context manager."""

    def __init__(self, base_url: str = "http://127.0.0.1:8000", *, timeout_s: float = 60.0) -> None:
        self._http = httpx2.Client(base_url=base_url, timeout=timeout_s)

    def submit(
        self, kind: str, spec: Mapping[str, Any], *, priority: int = 50, labels: Mapping[str, str] | None = None
    ) -> Handle:
        """Submit a job; raises the service's error when it is refused."""
        return Handle(self, self._send(_Calls.submit(kind, spec, priority, labels or {})).id)

    def job(self, job_id: str) -> Job:
        return self._send(_Calls.job(job_id))

    def jobs(self, limit: int = 50) -> Iterator[Job]:
        """All jobs, newest first, page by page."""
        after: str | None = None
        while True:
            page, after = self._send(_Calls.jobs(limit, after))
            yield from page
            if after is None:
                return

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that runs ends at its next progress write."""
        return self._send(_Calls.control(job_id, "cancel"))

    def retry(self, job_id: str) -> Job:
        """Take a failed or cancelled job up again."""
        return self._send(_Calls.control(job_id, "retry"))

    def delete_job(self, job_id: str) -> None:
        """Remove a job that has ended, with its products."""
        self._send(_Calls.delete_job(job_id))

    def events(self, job_id: str, *, after: int = 0) -> list[JobEvent]:
        """A page of what happened to a job, oldest first, after the event of that id."""
        return self._send(_Calls.events(job_id, after))[0]

    def register_corpus(self, **fields: Any) -> Corpus:
        """Register a corpus: `path=`, `dataset=` or `builtin=`, and further fields of `POST /v1/corpora`."""
        return self._send(_Calls.register_corpus(fields))

    def upload_corpus(self, path: Path, **fields: str) -> Corpus:
        with path.open("rb") as stream:
            return self._send(_Calls.upload_corpus(path, fields, stream))

    def import_vectors(self, source: Path | Array, name: str = "imported") -> ActivationSummary:
        """Import a .npy or .safetensors file, or an array."""
        with _stream(source) as stream:
            return self._send(_Calls.import_vectors(name, stream))

    def activations(self, set_id: str) -> ActivationDetail:
        return self._send(_Calls.activations(set_id))

    def vectors(self, set_id: str) -> Array:
        """All rows of a set, (n, d_model), in the stored dtype."""
        names = _shard_files(self.activations(set_id))
        return np.concatenate([load_safetensors(self._send(_Calls.file(set_id, name)))["vectors"] for name in names])

    def radius(self, report_id: str) -> RadiusReport:
        return self._send(_Calls.radius(report_id))

    def neighbors(self, report_id: str, *, order: str = "closest", limit: int = 20) -> list[NeighborPair]:
        return self._send(_Calls.neighbors(report_id, order, limit))[0]

    def energy(self, report_id: str) -> EnergyReport:
        return self._send(_Calls.energy(report_id))

    def evaluate(self, patterns: Points, queries: Points, beta: float = 1.0) -> Evaluation:
        """Energies of (q, n) points among (d, n) patterns, at once."""
        return self._send(_Calls.evaluate(patterns, queries, beta))

    def query(
        self,
        set_id: str,
        *,
        texts: Sequence[str] | None = None,
        vectors: Points | None = None,
        k: int = 10,
        beta: float = 1.0,
    ) -> QueryAnswer:
        """Where texts, or vectors, lie among the rows of a set."""
        return self._send(_Calls.query(set_id, texts, vectors, k, beta))

    def figure(self, report_id: str, ending: str = "png") -> bytes:
        """The figure of a radius or an energy report."""
        return self._send(_Calls.figure(report_id, ending))

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for a service that is starting; raises `Unavailable`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._send(_Calls.ready())
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _send(self, call: Call[Answer]) -> Answer:
        try:
            response = self._http.request(call.method, call.path, **call.options)
        except httpx2.TransportError as error:
            raise Unavailable("the service cannot be reached") from error
        return _read(call, response)


class AsyncClient:
    """The same calls, to be awaited."""

    def __init__(self, base_url: str = "http://127.0.0.1:8000", *, timeout_s: float = 60.0) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=timeout_s)

    async def submit(
        self, kind: str, spec: Mapping[str, Any], *, priority: int = 50, labels: Mapping[str, str] | None = None
    ) -> Job:
        return await self._send(_Calls.submit(kind, spec, priority, labels or {}))

    async def job(self, job_id: str) -> Job:
        return await self._send(_Calls.job(job_id))

    async def wait(self, job_id: str, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """Wait until a job ended; raises `JobFailed`, or `TimeoutError` when it takes longer."""
        async with asyncio.timeout(timeout_s):
            while True:
                job = await self.job(job_id)
                watch(job)
                if job.state in FINAL_STATES:
                    return _finished(job)
                await asyncio.sleep(_POLL_S)

    async def jobs(self, limit: int = 50) -> AsyncIterator[Job]:
        after: str | None = None
        while True:
            page, after = await self._send(_Calls.jobs(limit, after))
            for job in page:
                yield job
            if after is None:
                return

    async def cancel(self, job_id: str) -> Job:
        return await self._send(_Calls.control(job_id, "cancel"))

    async def retry(self, job_id: str) -> Job:
        return await self._send(_Calls.control(job_id, "retry"))

    async def delete_job(self, job_id: str) -> None:
        await self._send(_Calls.delete_job(job_id))

    async def events(self, job_id: str, *, after: int = 0) -> list[JobEvent]:
        return (await self._send(_Calls.events(job_id, after)))[0]

    async def register_corpus(self, **fields: Any) -> Corpus:
        return await self._send(_Calls.register_corpus(fields))

    async def upload_corpus(self, path: Path, **fields: str) -> Corpus:
        with path.open("rb") as stream:
            return await self._send(_Calls.upload_corpus(path, fields, stream))

    async def import_vectors(self, source: Path | Array, name: str = "imported") -> ActivationSummary:
        with _stream(source) as stream:
            return await self._send(_Calls.import_vectors(name, stream))

    async def activations(self, set_id: str) -> ActivationDetail:
        return await self._send(_Calls.activations(set_id))

    async def vectors(self, set_id: str) -> Array:
        names = _shard_files(await self.activations(set_id))
        parts = [load_safetensors(await self._send(_Calls.file(set_id, name)))["vectors"] for name in names]
        return np.concatenate(parts)

    async def radius(self, report_id: str) -> RadiusReport:
        return await self._send(_Calls.radius(report_id))

    async def neighbors(self, report_id: str, *, order: str = "closest", limit: int = 20) -> list[NeighborPair]:
        return (await self._send(_Calls.neighbors(report_id, order, limit)))[0]

    async def energy(self, report_id: str) -> EnergyReport:
        return await self._send(_Calls.energy(report_id))

    async def evaluate(self, patterns: Points, queries: Points, beta: float = 1.0) -> Evaluation:
        return await self._send(_Calls.evaluate(patterns, queries, beta))

    async def query(
        self,
        set_id: str,
        *,
        texts: Sequence[str] | None = None,
        vectors: Points | None = None,
        k: int = 10,
        beta: float = 1.0,
    ) -> QueryAnswer:
        return await self._send(_Calls.query(set_id, texts, vectors, k, beta))

    async def figure(self, report_id: str, ending: str = "png") -> bytes:
        return await self._send(_Calls.figure(report_id, ending))

    async def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for a service that is starting; raises `Unavailable`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return await self._send(_Calls.ready())
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
        return _read(call, response)


def _read(call: Call[Answer], response: httpx2.Response) -> Answer:
    if response.is_success:
        return call.read(response)
    try:
        body = response.json()
        problem = {"code": str(body["code"]), "detail": _explain(body)} | _first_field(body)
    except (ValueError, KeyError, TypeError):
        problem = {"code": "http_error", "detail": f"the service answered {response.status_code}"}
    raise error_from_dict(problem)


def _explain(body: Mapping[str, Any]) -> str:
    parts = [f"{error['field']}: {error['message']}" for error in body.get("errors") or []]
    return "; ".join(parts) or str(body["detail"])


def _first_field(body: Mapping[str, Any]) -> dict[str, str]:
    errors = body.get("errors") or []
    return {"field": str(errors[0]["field"])} if errors else {}


def _rows(points: Points) -> list[list[float]]:
    return np.asarray(points, dtype=np.float64).tolist()


def _model(kind: type[Any]) -> Callable[[httpx2.Response], Any]:
    return lambda response: kind.model_validate_json(response.content)


def _page(kind: type[Any]) -> Callable[[httpx2.Response], tuple[list[Any], str | None]]:
    def read(response: httpx2.Response) -> tuple[list[Any], str | None]:
        body = response.json()
        return [kind.model_validate(row) for row in body["data"]], body["next"]

    return read


def _finished(job: Job) -> Finished:
    if job.state != "succeeded":
        error = job.error or {"detail": f"the job was {job.state}"}
        raise JobFailed(error["detail"])
    return Finished(job)


def _shard_files(detail: ActivationDetail) -> list[str]:
    return [entry["name"] for entry in detail.manifest["files"] if entry["name"].startswith("shard-")]


@contextmanager
def _stream(source: Path | Array) -> Iterator[Any]:
    if isinstance(source, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, source, allow_pickle=False)
        buffer.seek(0)
        yield buffer
    else:
        with source.open("rb") as stream:
            yield stream
