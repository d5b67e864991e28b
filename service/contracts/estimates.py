"""What a job would take: time, bytes, memory; and how fast a device is, which the times come from."""

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
    """How fast a device is at what jobs do, measured on it by the product's own code; per second."""

    tokenising: Speed = Field(description="bytes of text")
    forward: list[Rate] = Field(description="FLOP of a GPT-2's forward pass")
    training: list[Rate] = Field(description="FLOP of a training step: forward, backward, AdamW")
    searching: Speed = Field(description="pairs × dimensions, each pair once")
    counting: Speed = Field(description="pairs × dimensions, each pair once")
    drawing: Speed = Field(description="numbers of the null model's covariance and draws")
    energies: Speed = Field(description="point × pattern × dimensions")
    storing: Speed = Field(description="bytes written, hashed and synced")
    reports: Speed = Field(description="reports with their figures")
    measured_at: datetime


class Device(Contract):
    """What a compute worker computes on."""

    device: str
    name: str
    memory_bytes: int = Field(description="of the device, or what this machine or container may use")
    fingerprint: Identifier = Field(description="same for workers that are equally fast")


class StageEstimate(Contract):
    """A stage of a job; null is what cannot be known before."""

    stage: str
    segments: int | None
    seconds: float | None = Field(description="by the workers that live now, side by side")
    written_bytes: int
    memory_bytes: int = Field(description="peak of one worker")


class Reusable(Contract):
    """A finished job whose sets are used again if the corpus and the model are still what they were."""

    job: Identifier
    activations: list[Identifier]


class Estimate(Contract):
    """`POST /v1/jobs/estimate`: what the job would take, if nothing waited before it."""

    kind: JobKind
    stages: list[StageEstimate]
    rows: int | None = Field(description="vectors, points or steps")
    segments: int | None
    seconds: float | None
    written_bytes: int
    memory_bytes: int = Field(description="peak of one worker")
    free_disk_bytes: int = Field(description="that jobs may fill: what is free, less `disk_reserve_bytes`")
    free_memory_bytes: int | None = Field(description="of the largest worker that lives; null: none does")
    workers: int = Field(description="compute workers that live")
    jobs_before: int = Field(description="jobs that wait or run already")
    device: Device | None
    calibration: Calibration | None
    reused: Reusable | None
    fits: bool = Field(description="false: such a job is refused")
    reason: str | None = Field(description="why it does not fit")
    notes: list[str] = Field(description="what was assumed, and why something is null")
