"""Segments of training jobs, run in the process of the test as workers run them, each by an owner of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from service.catalog import jobs, segments, training
from service.catalog.engine import Catalog
from service.contracts.presets import read_spec
from service.contracts.training import MetricsRow, TrainingRun
from service.settings import Settings
from tests.api.products import insert_job
from workers.flows import runtime
from workers.flows.runtime import Runtime, SegmentProgress
from workers.flows.training import finish_run, prepare_run, train_run
from workers.training.checkpoints import SavedState


@contextmanager
def running_here(settings: Settings, catalog: Catalog, worker: str = "test") -> Iterator[Runtime]:
    """Set the runtime of a worker for this block only."""
    with pytest.MonkeyPatch.context() as patch:
        made = Runtime(settings, catalog, worker)
        patch.setattr(runtime, "_current", made)
        yield made


@dataclass(frozen=True)
class TrainingJob:
    """A training job whose run is prepared; its methods are called within `running_here`."""

    catalog: Catalog
    job: str
    arguments: dict[str, Any]

    @property
    def run(self) -> str:
        return self.arguments["run"]

    def train(self, owner: SegmentProgress, start: int = 0) -> int:
        """Run one segment; returns the last step."""
        return train_run(self.job, self.arguments | {"start": start}, owner)["step"]

    def finish(self) -> TrainingRun:
        finish_run(self.job, self.arguments, own(self.catalog, self.job, "finish"))
        with self.catalog.read() as connection:
            return training.get(connection, self.run)

    def own(self, part: int = 0) -> SegmentProgress:
        return own(self.catalog, self.job, f"train-{part:05d}")

    def state(self) -> SavedState:
        """The recorded state from which the run resumes."""
        with self.catalog.read() as connection:
            found = training.state(connection, self.run)
        assert found is not None
        return SavedState(*found)

    def rows(self) -> list[MetricsRow]:
        with self.catalog.read() as connection:
            return training.metrics(connection, self.run)[0]


def own(catalog: Catalog, job: str, name: str) -> SegmentProgress:
    """Become the owner of a segment."""
    with catalog.begin() as connection:
        attempt = segments.claim(connection, job_id=job, name=name, stage="test", worker="test")
    return SegmentProgress(job, name, attempt)


def begun(catalog: Catalog, spec: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A running training job; its id and its spec, read."""
    arguments = read_spec("training", spec).model_dump(mode="json")
    job = insert_job(catalog, arguments, "training")
    with catalog.begin() as connection:
        jobs.start(connection, job)
    return job, arguments


def prepared(catalog: Catalog, spec: dict[str, Any]) -> TrainingJob:
    """A job whose run is registered."""
    job, arguments = begun(catalog, spec)
    run = prepare_run(job, arguments, own(catalog, job, "prepare"))["run"]
    return TrainingJob(catalog, job, arguments | {"run": run, "owner": run})
