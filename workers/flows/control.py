"""Imports the workflow of every job kind and background task: what the control worker registers. None needs torch."""

import workers.flows.analysis.job
import workers.flows.calibrations.job
import workers.flows.energy.job
import workers.flows.extraction.job
import workers.flows.radius.job
import workers.flows.reproduction.job
import workers.flows.scans.job
import workers.flows.training.job
import workers.flows.training.sweep_job  # noqa: F401
