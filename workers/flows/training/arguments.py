"""Arguments and results of the segments of trainings and sweeps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.contracts.base import Identifier
from service.contracts.sweeps import SweepSpec
from service.contracts.training import TrainingSpec
from workers.flows.engine.segments import Nothing, SegmentKind, SegmentModel

AnyTraining = Annotated[TrainingSpec, Field(discriminator="experiment")]


class PrepareArguments(SegmentModel):
    """The training to prepare."""

    spec: AnyTraining


class PreparedRun(SegmentModel):
    """The id of the registered run."""

    run: Identifier


class RunArguments(SegmentModel):
    """One registered run.

    Attributes:
        data: the run or sweep whose folder has the prepared data.
    """

    spec: AnyTraining
    run: Identifier
    data: Identifier


class TrainArguments(RunArguments):
    """`start`: the step from which the segment's progress is counted."""

    start: int


class TrainedTo(SegmentModel):
    """The step that the run has reached."""

    step: int


class FinishedRun(SegmentModel):
    """The steps of the kept models."""

    kept: list[int]


class TrajectoryArguments(RunArguments):
    """`step`: of the kept model."""

    step: int


class PrepareSweepArguments(SegmentModel):
    """The sweep to prepare."""

    spec: SweepSpec


class PreparedSweep(SegmentModel):
    """The ids of the registered sweep and of its runs, with the training of each."""

    sweep: Identifier
    runs: list[RunArguments]


class TabulateArguments(SegmentModel):
    """`last`: all runs have ended."""

    last: bool


PREPARE = SegmentKind("prepare", PrepareArguments, PreparedRun)
TRAIN = SegmentKind("train", TrainArguments, TrainedTo)
FINISH = SegmentKind("finish", RunArguments, FinishedRun)
TRAJECTORY = SegmentKind("trajectory", TrajectoryArguments, Nothing)
PREPARE_SWEEP = SegmentKind("prepare_sweep", PrepareSweepArguments, PreparedSweep)
TABULATE = SegmentKind("tabulate", TabulateArguments, Nothing)
