"""The calls of a client that blocks. `make client` generates this file from `asynchronous.py`: edit that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import httpx2
import numpy as np
from safetensors.numpy import load as load_safetensors
from tenacity import Retrying

from service.arrays import Points, Vectors
from service.client.arrays import stream_of
from service.client.calls import Answer, Call, Calls, bearer, check_key, read_answer, shard_files
from service.client.connection import away_from, connection_options, proxy_errors, retrying
from service.client.notebook import ShownEnergyReport, ShownRadiusReport
from service.client.outcome import Finished, Watch, outcome_of
from service.contracts.activations import ActivationDetail, ActivationSummary
from service.contracts.corpora import Corpus
from service.contracts.energy import Evaluation
from service.contracts.energy_report import EnergySummary
from service.contracts.estimates import Estimate
from service.contracts.jobs import FINAL_STATES, Job, JobEvent, Preset
from service.contracts.models import Model
from service.contracts.profile import Profile, ProfileSummary
from service.contracts.query import QueryAnswer
from service.contracts.radius import NeighborPair, RadiusSummary
from service.contracts.reproduction import ReproductionReport
from service.contracts.site_list import ModelSites
from service.contracts.sweeps import Sweep, SweepSummary
from service.contracts.training import MetricsRow, TrainingRun, TrainingSummary
from service.contracts.workers import Worker
from service.errors import Unavailable
from service.settings import ClientSettings

_POLL_S = 0.25
_READY_POLL_S = 0.1


class Session:
    """One connection pool to a service, and every call but the submission of a job.

    `submit`, `wait` and `follow` go on for `retry_s` while the service is away, as it is during a restart. Every other
    call raises `Unavailable` at once. Listings are read page by page, newest first.

    Args:
        base_url: the service's address; None: `RADIUS_URL`, or this machine's port 8000.
        api_key: None: `RADIUS_API_KEY`, if that is set.
        timeout_s: time limit of one request.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retry_s: float = 60.0,
    ) -> None:
        given = ClientSettings()
        key = api_key or given.api_key or None  # set and empty is as if it were not set
        self.url = given.url if base_url is None else base_url
        options = connection_options(self.url)
        with proxy_errors():
            self._http = httpx2.Client(**options, timeout=timeout_s, headers=bearer(key))
        self._has_key = key is not None
        self._retry_s = retry_s

    def estimate(self, kind: str, spec: Mapping[str, Any]) -> Estimate:
        """Estimate a job without submitting it."""
        return self._send(Calls.estimate(kind, spec))

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return self._send(Calls.job(job_id))

    def wait(self, job_id: str, watch: Watch = lambda job: None, *, timeout_s: float | None = None) -> Finished:
        """Wait until a job has ended; `watch` is called with each state that is read.

        Raises:
            JobFailed: it ended otherwise than `succeeded`; the message is the job's error.
            TimeoutError: it takes longer than `timeout_s`; the job goes on.
            Unavailable: the service is away for `retry_s`, or until that time; the job goes on when it is back.
        """
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while True:
            job = self._send_patiently(Calls.job(job_id), deadline)
            watch(job)
            if (finished := outcome_of(job)) is not None:
                return finished
            if deadline is not None and monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is still {job.state} after {timeout_s} s")
            sleep(_POLL_S)

    def jobs(self, limit: int = 50, *, kind: str | None = None, state: str | None = None) -> Iterator[Job]:
        """All jobs, or those of a kind or in a state; `limit` is the size of a page."""
        yield from self._pages(Calls.listing(Job, "jobs", kind=kind, state=state, limit=limit))

    def corpora(self) -> Iterator[Corpus]:
        """All corpora."""
        yield from self._pages(Calls.listing(Corpus, "corpora"))

    def models(self) -> Iterator[Model]:
        """The model folders under the models root."""
        yield from self._pages(Calls.listing(Model, "models"))

    def presets(self) -> Iterator[Preset]:
        """The presets, with what the paper states of each and what is assumed."""
        yield from self._pages(Calls.listing(Preset, "presets"))

    def activation_sets(self) -> Iterator[ActivationSummary]:
        """All activation sets."""
        yield from self._pages(Calls.listing(ActivationSummary, "activations"))

    def radius_reports(self) -> Iterator[RadiusSummary]:
        """All radius reports."""
        yield from self._pages(Calls.listing(RadiusSummary, "radius"))

    def energy_reports(self) -> Iterator[EnergySummary]:
        """All energy reports."""
        yield from self._pages(Calls.listing(EnergySummary, "energy"))

    def profiles(self) -> Iterator[ProfileSummary]:
        """All profiles."""
        yield from self._pages(Calls.listing(ProfileSummary, "profiles"))

    def trainings(self) -> Iterator[TrainingSummary]:
        """All training runs."""
        yield from self._pages(Calls.listing(TrainingSummary, "training"))

    def sweeps(self) -> Iterator[SweepSummary]:
        """All sweeps."""
        yield from self._pages(Calls.listing(SweepSummary, "sweeps"))

    def corpus(self, corpus_id: str) -> Corpus:
        """A corpus: its counts, or why it could not be read."""
        return self._send(Calls.corpus(corpus_id))

    def limits(self) -> dict[str, int]:
        """The limits in force."""
        return self._send(Calls.limits())

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that runs ends at its next progress write."""
        return self._send(Calls.control(job_id, "cancel"))

    def retry(self, job_id: str) -> Job:
        """Continue a failed or cancelled job; segments that it finished are kept."""
        return self._send(Calls.control(job_id, "retry"))

    def delete_job(self, job_id: str) -> None:
        """Delete a job that has ended, with its products."""
        self._send(Calls.delete_job(job_id))

    def events(self, job_id: str, *, after: int = 0) -> list[JobEvent]:
        """A page of a job's events, oldest first, from the one that follows id `after`."""
        page, _ = self._send(Calls.events(job_id, after))
        return page

    def follow(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """The events of a job as they happen, from the one that follows id `after`, until the job has ended."""
        while True:
            ended = (self._send_patiently(Calls.job(job_id))).state in FINAL_STATES  # before its last events
            page, following = self._send_patiently(Calls.events(job_id, after))
            for event in page:
                yield event
                after = event.id
            if following is None:
                if ended:
                    return
                sleep(_POLL_S)

    def sites(self, model: str, *, revision: str | None = None) -> ModelSites:
        """The sites of a model under the models root, or of a kept model, with the names that libraries give them."""
        return self._send(Calls.sites(model, revision))

    def register_corpus(self, **fields: Any) -> Corpus:
        """Register a corpus: `path=`, `dataset=` or `builtin=`, and further fields of `POST /v1/corpora`."""
        return self._send(Calls.register_corpus(fields))

    def delete_corpus(self, corpus_id: str) -> None:
        """Delete a corpus, and the file uploaded for it."""
        self._send(Calls.delete_corpus(corpus_id))

    def upload_corpus(self, path: Path, **fields: str) -> Corpus:
        """Register a local file as a corpus; `fields` are those of the upload's form."""
        with path.open("rb") as stream:
            return self._send(Calls.upload_corpus(path, fields, stream))

    def import_vectors(
        self,
        source: Path | str | Vectors,
        name: str = "imported",
        *,
        tensor: str | None = None,
        ids: Path | Sequence[str] | None = None,
        labels: Path | Sequence[str] | None = None,
    ) -> ActivationSummary:
        """Import a .npy or .safetensors file, or an array or tensor of rows.

        Args:
            tensor: name of the tensor in a .safetensors file of several.
            ids, labels: one for each row, or a text file with one a line.
        """
        with stream_of(source) as stream:
            return self._send(Calls.import_vectors(name, stream, tensor, {"ids": ids, "labels": labels}))

    def activations(self, set_id: str) -> ActivationDetail:
        """An activation set: its manifest and statistics."""
        return self._send(Calls.activations(set_id))

    def vectors(self, set_id: str) -> np.ndarray:
        """All rows of a set, (n, d_model), in the stored dtype."""
        names = shard_files(self.activations(set_id))
        parts = [load_safetensors(self._send(Calls.file(set_id, name)))["vectors"] for name in names]
        return np.concatenate(parts)

    def delete_activations(self, set_id: str) -> None:
        """Delete an imported set that no job reads and no report is of."""
        self._send(Calls.delete_activations(set_id))

    def workers(self) -> list[Worker]:
        """The workers that are alive, and those that were lost within a day, with what each does now."""
        found, _ = self._send(Calls.workers())
        return found

    def radius(self, report_id: str) -> ShownRadiusReport:
        """A radius report."""
        return self._send(Calls.radius(report_id))

    def neighbors(self, report_id: str, *, order: str = "closest", limit: int = 20) -> list[NeighborPair]:
        """The first `limit` pairs of a row and its nearest other row; `order` is closest or farthest."""
        page, _ = self._send(Calls.neighbors(report_id, order, limit))
        return page

    def profile(self, profile_id: str) -> Profile:
        """A profile: the radius reports of an analysis over depth."""
        return self._send(Calls.profile(profile_id))

    def neighbors_file(self, report_id: str, ending: str = "parquet") -> bytes:
        """All neighbours of a report in the order of the set's rows, as a `parquet` or an `npz` file."""
        return self._send(Calls.neighbors_file(report_id, ending))

    def energy(self, report_id: str) -> ShownEnergyReport:
        """An energy report."""
        return self._send(Calls.energy(report_id))

    def training(self, run_id: str) -> TrainingRun:
        """A training run, as far as it is."""
        return self._send(Calls.training(run_id))

    def metrics(self, run_id: str) -> list[MetricsRow]:
        """All logged steps of a run."""
        rows: list[MetricsRow] = []
        following: str | None = "0"
        while following is not None:
            page, following = self._send(Calls.metrics(run_id, int(following)))
            rows += page
        return rows

    def metrics_file(self, run_id: str, ending: str = "csv") -> bytes:
        """The logged steps as a `csv` or a `parquet` file."""
        return self._send(Calls.metrics_file(run_id, ending))

    def reproduction(self, report_id: str) -> ReproductionReport:
        """A reproduction report as it is now."""
        return self._send(Calls.reproduction(report_id))

    def reproduction_document(self, report_id: str, ending: str) -> bytes:
        """The bytes of a reproduction report: json, md or html."""
        return self._send(Calls.reproduction_document(report_id, ending))

    def reproduction_figure(self, report_id: str, claim: str) -> bytes:
        """The figure of one claim, as SVG; raises `NotFound` where it has none."""
        return self._send(Calls.reproduction_figure(report_id, claim))

    def sweep(self, sweep_id: str) -> Sweep:
        """A sweep, as far as it is."""
        return self._send(Calls.sweep(sweep_id))

    def evaluate(self, patterns: Points, queries: Points, beta: float = 1.0) -> Evaluation:
        """Energies of (q, n) points among (d, n) patterns, computed while the call waits."""
        return self._send(Calls.evaluate(patterns, queries, beta))

    def query(
        self,
        set_id: str,
        *,
        texts: Sequence[str] | None = None,
        vectors: Points | None = None,
        k: int = 10,
        beta: float = 1.0,
    ) -> QueryAnswer:
        """The `k` nearest rows of a set to each text or vector, and the energies there."""
        return self._send(Calls.query(set_id, texts, vectors, k, beta))

    def figure(self, report_id: str, ending: str = "png") -> bytes:
        """The figure of a radius report, an energy report, a run or a sweep, as `png`, `svg` or `pdf`."""
        return self._send(Calls.figure(report_id, ending))

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait for a service that is starting; raises `Unavailable` when it takes longer than `timeout_s`."""
        deadline = monotonic() + timeout_s
        while True:
            try:
                return self._send(Calls.ready())
            except Unavailable:
                if monotonic() > deadline:
                    raise
                sleep(_READY_POLL_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _send_patiently(self, call: Call[Answer], deadline: float | None = None) -> Answer:
        """Send a call that may be sent again, until the service answers, for `retry_s` or until `deadline`."""
        left_s = self._retry_s if deadline is None else min(self._retry_s, max(0.0, deadline - monotonic()))

        def send() -> Answer:
            return self._send(call)

        return Retrying(**retrying(left_s))(send)

    def _send(self, call: Call[Answer]) -> Answer:
        try:
            response = self._http.request(call.method, call.path, **call.options)
        except httpx2.TransportError as error:
            raise away_from(self.url) from error
        check_key(response, self._has_key)
        return read_answer(call, response)

    def _pages(self, call: Call[tuple[list[Answer], str | None]]) -> Iterator[Answer]:
        """All rows of a listing."""
        while True:
            page, after = self._send(call)
            yield from page
            if after is None:
                return
            call = call.following(after)
