"""Segments of training jobs, run in the process of the test as workers run them, each by an owner of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.contracts.specs import read_spec
from service.contracts.training import MetricsRow, TrainingRun, TrainingSpec
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.training.arguments import PrepareArguments, RunArguments, TrainArguments
from workers.flows.training.segments import finish_run, prepare_run, train_run
from workers.training.checkpoints import SavedState


@dataclass(frozen=True)
class TrainingJob:
    """A training job and its run, prepared."""

    settings: Settings
    catalog: Catalog
    job: str
    arguments: RunArguments

    @property
    def run(self) -> str:
        return self.arguments.run

    def train(self, owner: SegmentOwner, start: int = 0) -> int:
        """One segment; returns the step it came to."""
        return train_run(TrainArguments(**dict(self.arguments), start=start), owner).step

    def finish(self) -> TrainingRun:
        finish_run(self.arguments, own_segment(self.settings, self.catalog, self.job, "finish"))
        with self.catalog.read() as connection:
            return training.get(connection, self.run)

    def own(self, part: int = 0) -> SegmentOwner:
        return own_segment(self.settings, self.catalog, self.job, f"train-{part:05d}")

    def state(self) -> SavedState:
        """The state that is recorded for the run to go on from."""
        with self.catalog.read() as connection:
            found = training.state(connection, self.run)
        assert found is not None
        return SavedState(*found)

    def rows(self) -> list[MetricsRow]:
        with self.catalog.read() as connection:
            return training.metrics(connection, self.run)[0]


def begun(catalog: Catalog, given: dict[str, Any]) -> tuple[str, TrainingSpec]:
    """A running training job; its id and its spec, read."""
    spec: Any = read_spec("training", given)
    job = insert_job(catalog, spec.model_dump(mode="json"), "training")
    with catalog.begin() as connection:
        jobs.start(connection, job)
    return job, spec


def prepared(settings: Settings, catalog: Catalog, given: dict[str, Any]) -> TrainingJob:
    """A job whose run is registered."""
    job, spec = begun(catalog, given)
    run = prepare_run(PrepareArguments(spec=spec), own_segment(settings, catalog, job, "prepare")).run
    return TrainingJob(settings, catalog, job, RunArguments(spec=spec, run=run, data=run))
