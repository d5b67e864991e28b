"""The workflow of an energy job: one segment makes the report."""

from __future__ import annotations

from service.contracts.energy import EnergySpec
from service.ids import derived_id
from workers.flows.energy.arguments import ENERGY, EnergyArguments
from workers.flows.engine.dispatching import JobRun, job


@job("energy")
def energy(run: JobRun, spec: EnergySpec) -> None:
    """Activation sets, as layers → their energy report."""
    evaluate(run, spec, position=0, sets_total=True)


def evaluate(run: JobRun, spec: EnergySpec, *, position: int, sets_total: bool = False) -> None:
    """Make the energy report at that position among the job's; `sets_total` as `EnergyArguments`."""
    report = derived_id("energy", run.job_id, position)
    run.run(ENERGY, f"energy-{position:02d}", EnergyArguments(spec=spec, report=report, sets_total=sets_total))
