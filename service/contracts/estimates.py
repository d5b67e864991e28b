"""Estimates of a job's time, bytes and memory, and the measured speeds of a device that they use."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.contracts.base import Contract, Identifier
from service.contracts.jobs import JobKind

Speed = Annotated[float, Field(gt=0)]


class Rate(Contract):
    """A speed that depends on the width of the model."""

    d_model: int
    per_s: Speed


class Calibration(Contract):
    """Speeds of a device, each per second, measured on it with the code that jobs run."""

    tokenising: Speed = Field(description="bytes of text")
    forward: list[Rate] = Field(description="FLOP of a GPT-2's forward pass")
    training: list[Rate] = Field(description="FLOP of a training step: forward, backward, AdamW")
    encoding: Speed = Field(description="numbers of rows that a search encodes")
    searching: Speed = Field(description="pairs × dimensions, each pair once")
    counting: Speed = Field(description="pairs × dimensions, each pair once")
    drawing: Speed = Field(description="numbers of the null model's covariance and draws")
    points: Speed = Field(description="points of an energy, each by itself")
    energies: Speed = Field(description="point × pattern × dimensions")
    generating: Speed = Field(description="lines of the question-formation language: drawn, checked, written")
    storing: Speed = Field(description="bytes written, hashed and synced")
    reports: Speed = Field(description="reports with their figures")
    measured_at: datetime


class Device(Contract):
    """The device of a compute worker."""

    device: str
    name: str
    memory_bytes: int = Field(description="memory of the device, or what this machine or container may use")
    fingerprint: Identifier = Field(description="equal for workers of equal speed")


class StageEstimate(Contract):
    """A stage of a job; null where a value cannot be known in advance."""

    stage: str
    segments: int | None
    seconds: float | None = Field(description="by the live workers, in parallel")
    written_bytes: int
    memory_bytes: int = Field(description="peak of one worker")


class Reusable(Contract):
    """A finished job whose sets are reused if the corpus and the model have not changed."""

    job: Identifier
    activations: list[Identifier]


class Estimate(Contract):
    """`POST /v1/jobs/estimate`: what the job takes when no other job waits before it."""

    kind: JobKind
    stages: list[StageEstimate]
    rows: int | None = Field(description="vectors, points or steps")
    segments: int | None
    seconds: float | None
    written_bytes: int
    memory_bytes: int = Field(description="peak of one worker")
    free_disk_bytes: int = Field(description="what jobs may use: the free space less `disk_reserve_bytes`")
    free_memory_bytes: int | None = Field(description="of the largest live worker; null: there is none")
    workers: int = Field(description="live compute workers")
    jobs_before: int = Field(description="jobs that wait or run now")
    device: Device | None
    calibration: Calibration | None
    reused: Reusable | None
    fits: bool = Field(description="false: such a job is refused")
    reason: str | None = Field(description="why it does not fit")
    notes: list[str] = Field(description="what was assumed, and why something is null")
