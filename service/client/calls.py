"""The calls of the REST interface as data: what is sent, and how the answer is read. Clients only send them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx2

from service.arrays import Points
from service.client.arrays import rows_of
from service.client.notebook import ShownEnergyReport, ShownRadiusReport
from service.contracts.activations import ActivationDetail, ActivationSummary
from service.contracts.corpora import Corpus
from service.contracts.energy import Evaluation
from service.contracts.estimates import Estimate
from service.contracts.jobs import Job, JobEvent
from service.contracts.profile import Profile
from service.contracts.query import QueryAnswer
from service.contracts.radius import NeighborPair
from service.contracts.reproduction import ReproductionReport
from service.contracts.site_list import ModelSites
from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow, TrainingRun
from service.contracts.workers import Worker
from service.errors import InvalidInput, RadiusError, TooMany, Unauthorized, Unavailable, error_from_dict

Answer = TypeVar("Answer")
Row = TypeVar("Row")

NOUNS = {"energy": "energy", "run": "training", "sweep": "sweeps", "profile": "profiles"}  # by the beginning of an id


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request and how to read its answer; the two clients differ only in how they send it."""

    method: str
    path: str
    read: Callable[[httpx2.Response], Answer]
    options: Mapping[str, Any]

    def following(self, after: str) -> Call[Answer]:
        """The call for the next page of a listing."""
        return replace(self, options={"params": {**self.options.get("params", {}), "after": after}})


class Calls:
    """The calls, as data."""

    @staticmethod
    def submit(
        kind: str,
        spec: Mapping[str, Any],
        priority: int,
        labels: Mapping[str, str],
        timeout_s: float | None,
        key: str,
    ) -> Call[Job]:
        body: dict[str, Any] = {"kind": kind, "spec": dict(spec), "priority": priority, "labels": dict(labels)}
        body |= {} if timeout_s is None else {"timeout_s": timeout_s}
        return Call("POST", "/v1/jobs", _model(Job), {"json": body, "headers": {"Idempotency-Key": key}})

    @staticmethod
    def estimate(kind: str, spec: Mapping[str, Any]) -> Call[Estimate]:
        return Call("POST", "/v1/jobs/estimate", _model(Estimate), {"json": {"kind": kind, "spec": dict(spec)}})

    @staticmethod
    def job(job_id: str) -> Call[Job]:
        return Call("GET", f"/v1/jobs/{job_id}", _model(Job), {})

    @staticmethod
    def listing(row: type[Row], noun: str, **params: str | int | None) -> Call[tuple[list[Row], str | None]]:
        given = {name: value for name, value in params.items() if value is not None}
        return Call("GET", f"/v1/{noun}", _page(row), {"params": given})

    @staticmethod
    def corpus(corpus_id: str) -> Call[Corpus]:
        return Call("GET", f"/v1/corpora/{corpus_id}", _model(Corpus), {})

    @staticmethod
    def limits() -> Call[dict[str, int]]:
        return Call("GET", "/v1/limits", lambda response: response.json(), {})

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
    def sites(model: str, revision: str | None) -> Call[ModelSites]:
        params = {"model": model} | ({} if revision is None else {"revision": revision})
        return Call("GET", "/v1/sites", _model(ModelSites), {"params": params})

    @staticmethod
    def register_corpus(fields: Mapping[str, Any]) -> Call[Corpus]:
        return Call("POST", "/v1/corpora", _model(Corpus), {"json": dict(fields)})

    @staticmethod
    def delete_corpus(corpus_id: str) -> Call[None]:
        return Call("DELETE", f"/v1/corpora/{corpus_id}", lambda response: None, {})

    @staticmethod
    def upload_corpus(path: Path, fields: Mapping[str, str], stream: Any) -> Call[Corpus]:
        return Call(
            "POST", "/v1/corpora", _model(Corpus), {"files": {"file": (path.name, stream)}, "data": dict(fields)}
        )

    @staticmethod
    def import_vectors(
        name: str, stream: Any, tensor: str | None, names: Mapping[str, Path | Sequence[str] | None]
    ) -> Call[ActivationSummary]:
        lines = {field: lines_of(source) for field, source in names.items() if source is not None}
        files = {"file": ("vectors", stream)} | {field: (field, content) for field, content in lines.items()}
        options = {"files": files, "data": {"name": name} | ({} if tensor is None else {"tensor": tensor})}
        return Call("POST", "/v1/activations", _model(ActivationSummary), options)

    @staticmethod
    def activations(set_id: str) -> Call[ActivationDetail]:
        return Call("GET", f"/v1/activations/{set_id}", _model(ActivationDetail), {})

    @staticmethod
    def file(set_id: str, name: str) -> Call[bytes]:
        return Call("GET", f"/v1/activations/{set_id}/files/{name}", lambda response: response.content, {})

    @staticmethod
    def radius(report_id: str) -> Call[ShownRadiusReport]:
        return Call("GET", f"/v1/radius/{report_id}", _model(ShownRadiusReport), {})

    @staticmethod
    def neighbors(report_id: str, order: str, limit: int) -> Call[tuple[list[NeighborPair], str | None]]:
        params = {"order": order, "limit": limit}
        return Call("GET", f"/v1/radius/{report_id}/neighbors", _page(NeighborPair), {"params": params})

    @staticmethod
    def profile(profile_id: str) -> Call[Profile]:
        return Call("GET", f"/v1/profiles/{profile_id}", _model(Profile), {})

    @staticmethod
    def neighbors_file(report_id: str, ending: str) -> Call[bytes]:
        return Call("GET", f"/v1/radius/{report_id}/neighbors.{ending}", lambda response: response.content, {})

    @staticmethod
    def energy(report_id: str) -> Call[ShownEnergyReport]:
        return Call("GET", f"/v1/energy/{report_id}", _model(ShownEnergyReport), {})

    @staticmethod
    def training(run_id: str) -> Call[TrainingRun]:
        return Call("GET", f"/v1/training/{run_id}", _model(TrainingRun), {})

    @staticmethod
    def metrics(run_id: str, after: int) -> Call[tuple[list[MetricsRow], str | None]]:
        return Call("GET", f"/v1/training/{run_id}/metrics", _page(MetricsRow), {"params": {"after": after}})

    @staticmethod
    def metrics_file(run_id: str, ending: str) -> Call[bytes]:
        return Call("GET", f"/v1/training/{run_id}/metrics.{ending}", lambda response: response.content, {})

    @staticmethod
    def sweep(sweep_id: str) -> Call[Sweep]:
        return Call("GET", f"/v1/sweeps/{sweep_id}", _model(Sweep), {})

    @staticmethod
    def reproduction(report_id: str) -> Call[ReproductionReport]:
        return Call("GET", f"/v1/reproductions/{report_id}/report.json", _model(ReproductionReport), {})

    @staticmethod
    def reproduction_document(report_id: str, ending: str) -> Call[bytes]:
        return Call("GET", f"/v1/reproductions/{report_id}/report.{ending}", lambda response: response.content, {})

    @staticmethod
    def reproduction_figure(report_id: str, claim: str) -> Call[bytes]:
        return Call("GET", f"/v1/reproductions/{report_id}/figures/{claim}.svg", lambda response: response.content, {})

    @staticmethod
    def evaluate(patterns: Points, queries: Points, beta: float) -> Call[Evaluation]:
        body = {"patterns": rows_of(patterns, "patterns"), "queries": rows_of(queries, "queries"), "beta": beta}
        return Call("POST", "/v1/energy/evaluate", _model(Evaluation), {"json": body})

    @staticmethod
    def query(
        set_id: str, texts: Sequence[str] | None, vectors: Points | None, k: int, beta: float
    ) -> Call[QueryAnswer]:
        body: dict[str, Any] = {"k": k, "beta": beta}
        body |= {} if texts is None else {"texts": list(texts)}
        body |= {} if vectors is None else {"vectors": rows_of(vectors, "vectors")}
        return Call("POST", f"/v1/activations/{set_id}/query", _model(QueryAnswer), {"json": body})

    @staticmethod
    def figure(report_id: str, ending: str) -> Call[bytes]:
        noun = NOUNS.get(report_id.split("-", 1)[0], "radius")
        return Call("GET", f"/v1/{noun}/{report_id}/figure.{ending}", lambda response: response.content, {})

    @staticmethod
    def delete_activations(set_id: str) -> Call[None]:
        return Call("DELETE", f"/v1/activations/{set_id}", lambda response: None, {})

    @staticmethod
    def workers() -> Call[tuple[list[Worker], str | None]]:
        return Call("GET", "/v1/workers", _page(Worker), {})

    @staticmethod
    def ready() -> Call[None]:
        return Call("GET", "/readyz", lambda response: None, {})


def check_key(response: httpx2.Response, has_key: bool) -> None:
    """Raise `Unauthorized` saying what to do, where the service asked for an API key or refused the one it got."""
    if response.status_code == Unauthorized.status:
        missing = "the service requires an API key: set RADIUS_API_KEY, or give `api_key`"
        raise Unauthorized("the service refused the API key: it is unknown or was revoked" if has_key else missing)


def read_answer(call: Call[Answer], response: httpx2.Response) -> Answer:
    """Read a response, or raise the error that its problem describes."""
    if response.is_success:
        return call.read(response)
    try:
        body = response.json()
        problem = {"code": str(body["code"]), "detail": _explain(body)} | _first_field(body)
    except (ValueError, KeyError, TypeError):
        code = Unavailable.code if response.status_code == Unavailable.status else "http_error"
        problem = {"code": code, "detail": f"the service answered {response.status_code}"}
    raise _with_pause(error_from_dict(problem), response)


def _with_pause(error: RadiusError, response: httpx2.Response) -> RadiusError:
    """The error, with the seconds of its Retry-After."""
    given = response.headers.get("Retry-After", "")
    if isinstance(error, Unavailable | TooMany) and given.isascii() and given.isdigit():
        error.retry_after_s = float(given)
    return error


def _explain(body: Mapping[str, Any]) -> str:
    parts = [f"{error['field']}: {error['message']}" for error in body.get("errors") or []]
    return "; ".join(parts) or str(body["detail"])


def _first_field(body: Mapping[str, Any]) -> dict[str, str]:
    errors = body.get("errors") or []
    return {"field": str(errors[0]["field"])} if errors else {}


def _model(kind: type[Any]) -> Callable[[httpx2.Response], Any]:
    return lambda response: kind.model_validate_json(response.content)


def _page(kind: type[Any]) -> Callable[[httpx2.Response], tuple[list[Any], str | None]]:
    def read(response: httpx2.Response) -> tuple[list[Any], str | None]:
        body = response.json()
        return [kind.model_validate(row) for row in body["data"]], body["next"]

    return read


def shard_files(detail: ActivationDetail) -> list[str]:
    """Names of the files with a set's vectors, in row order."""
    return [entry["name"] for entry in detail.manifest["files"] if entry["name"].startswith("shard-")]


def lines_of(names: Path | Sequence[str]) -> bytes:
    """A name a line, as UTF-8.

    Raises:
        InvalidInput: a name has a line break.
    """
    if isinstance(names, Path):
        return names.read_bytes()
    for at, name in enumerate(names):
        if "\n" in name:
            raise InvalidInput(f"the name of row {at} has a line break")
    return "".join(f"{name}\n" for name in names).encode()


def bearer(api_key: str | None) -> dict[str, str]:
    """The header of a key."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
