"""The workflow of an analysis job: an extraction, the radius of each of its sets, their energies, their profile."""

from __future__ import annotations

from service.contracts.energy import AnalysisEnergy, EnergyOptions, EnergySpec
from service.contracts.jobs import AnalysisSpec
from service.contracts.radius import RadiusOptions, RadiusSpec
from service.ids import derived_id
from workers.flows.energy.job import evaluate
from workers.flows.engine.dispatching import JobExecution, job
from workers.flows.extraction.job import extract
from workers.flows.profile.arguments import PROFILE, ProfileArguments
from workers.flows.radius.job import measure

LEAST_SITES = 3  # of a profile, unless all sites were asked for


@job("analysis")
def analysis(execution: JobExecution, spec: AnalysisSpec) -> None:
    """An extraction, then the radius of each of its sets, their energies, and with several sites their profile."""
    reports = sum(part is not None for part in (spec.radius, spec.energy))
    sets = extract(execution, spec, reports=reports)
    measured: list[str] = []
    if spec.radius is not None:
        for position, set_id in enumerate(sets):
            measured.append(measure(execution, _radius_of(set_id, spec.radius), position=position))
    if spec.energy is not None:
        for position, layers in enumerate(_layers(sets, spec.energy)):
            evaluate(execution, _energies_of(layers, spec.energy), position=position)
    if spec.radius is not None and (spec.sites == "all" or len(sets) >= LEAST_SITES):
        arguments = ProfileArguments(profile=derived_id("profile", execution.job_id), reports=measured)
        execution.run(PROFILE, "profile", arguments)


def _radius_of(set_id: str, options: RadiusOptions) -> RadiusSpec:
    given = {name: getattr(options, name) for name in RadiusOptions.model_fields}
    return RadiusSpec(activations=set_id, **given)


def _layers(sets: list[str], options: AnalysisEnergy) -> list[list[str]]:
    return [sets] if options.layers == "together" else [[set_id] for set_id in sets]


def _energies_of(layers: list[str], options: AnalysisEnergy) -> EnergySpec:
    given = {name: getattr(options, name) for name in EnergyOptions.model_fields}
    return EnergySpec(activations=layers, **given)
