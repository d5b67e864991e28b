"""Imports the function of every segment: what compute workers and trainers register."""

import workers.flows.calibrations.measure
import workers.flows.energy.report
import workers.flows.engine.execution
import workers.flows.extraction.publish
import workers.flows.extraction.sample
import workers.flows.extraction.shards
import workers.flows.profile.report
import workers.flows.radius.parts
import workers.flows.radius.report
import workers.flows.radius.settling
import workers.flows.reproduction.held_out
import workers.flows.reproduction.model
import workers.flows.reproduction.report
import workers.flows.scans.count
import workers.flows.training.segments
import workers.flows.training.sweep
import workers.flows.training.trajectory  # noqa: F401
