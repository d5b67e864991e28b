"""The workflow of a calibration: it measures the device of the worker that takes it."""

from __future__ import annotations

from service.jobs.engine import CALIBRATE_WORKFLOW
from workers.flows.calibrations.arguments import CALIBRATE
from workers.flows.engine.dispatching import JobExecution, durable
from workers.flows.engine.segments import Nothing


@durable(CALIBRATE_WORKFLOW)
def calibrate(name: str) -> None:
    """Measure how fast a worker's device is, outside any job."""
    JobExecution(name, priority=1).run(CALIBRATE, "calibrate", Nothing())
