"""The workflow of an energy job: one segment makes the report."""

from __future__ import annotations

from service.contracts.energy import EnergySpec
from service.ids import derived_id
from workers.flows.energy.arguments import ENERGY, EnergyArguments
from workers.flows.engine.dispatching import JobExecution, job


@job("energy")
def energy(execution: JobExecution, spec: EnergySpec) -> None:
    """Activation sets, as layers → their energy report."""
    evaluate(execution, spec, position=0, sets_total=True)


def evaluate(execution: JobExecution, spec: EnergySpec, *, position: int, sets_total: bool = False) -> None:
    """Make the energy report at that position among the job's; `sets_total` as `EnergyArguments`."""
    report = derived_id("energy", execution.job_id, position)
    execution.run(ENERGY, f"energy-{position:02d}", EnergyArguments(spec=spec, report=report, sets_total=sets_total))
