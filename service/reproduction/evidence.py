"""The numbers that a reproduction has gathered, and the verdict of every claim on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.contracts.claims import BY_ID, ClaimDefinition, PartName, Verdict
from service.contracts.energy_report import EnergyReport
from service.contracts.radius import RadiusReport
from service.contracts.reproduction import ClaimResult, PartRun, ReproductionSpec
from service.contracts.sweeps import Sweep
from service.errors import InvalidInput
from service.reproduction import energy_claims, radius_claims, theory_claims, training_claims
from service.reproduction.finding import Finding
from service.reproduction.radius_claims import HeldOut
from service.reproduction.required_jobs import needs_of
from service.reproduction.theory_claims import SampleShares
from service.reproduction.training_claims import RunLosses


@dataclass(frozen=True)
class Evidence:
    """The results of the finished parts; empty where a part has not ended well.

    Attributes:
        runs: losses of the trainings, by part.
        sweeps: by part.
    """

    radius: tuple[RadiusReport, ...] = ()
    energies: tuple[EnergyReport, ...] = ()
    descent: EnergyReport | None = None
    held_out: tuple[HeldOut, ...] = ()
    shares: SampleShares | None = None
    runs: Mapping[PartName, RunLosses] = field(default_factory=dict)
    sweeps: Mapping[PartName, Sweep] = field(default_factory=dict)

    def sweep(self, part: PartName) -> Sweep:
        """The sweep of a part that has ended."""
        return self.sweeps[part]

    def losses(self, *parts: PartName) -> list[RunLosses]:
        """The losses of the parts that have any."""
        return [self.runs[part] for part in parts if part in self.runs]


def judge(claim: str, evidence: Evidence) -> Finding:
    """Apply the rule of a claim to the evidence; raises `InvalidInput` where a report lacks what is needed."""
    return _RULES[claim](evidence, _tolerance(claim))


def result(
    definition: ClaimDefinition, spec: ReproductionSpec, evidence: Evidence, runs: Mapping[PartName, PartRun]
) -> ClaimResult:
    """The claim of the report: not run, with the reason; the rule's verdict; or none where the scale is too small."""
    parts = needs_of(definition.id, spec)
    missing = _missing(definition, parts, runs)
    if missing is not None:
        found = Finding(*missing)
    else:
        try:
            found = judge(definition.id, evidence)
        except InvalidInput as error:
            found = Finding("not_run", f"The reports lack what the rule needs: {error.detail}.")
    verdict, reason = found.verdict, found.reason
    if missing is None and spec.scale not in definition.decided_at and verdict != "not_run":
        verdict, reason = "not_at_this_scale", f"At scale {spec.scale} the numbers are shown and not judged. {reason}"
    return ClaimResult(
        **definition.model_dump(include=_DEFINED),
        measured=found.measured,
        interval=found.interval,
        null=found.null,
        verdict=verdict,
        reason=reason,
        evidence=[link for part in parts if part in runs for link in _links(runs[part])],
        scale=spec.scale,
        numbers=list(found.numbers),
        chart=None if found.chart is None or found.chart.is_empty else found.chart,
        runs=parts,
    )


_DEFINED = {"id", "where", "statement", "printed", "unit", "tolerance", "rule"}


def _missing(
    definition: ClaimDefinition, parts: list[PartName], runs: Mapping[PartName, PartRun]
) -> tuple[Verdict, str] | None:
    """Verdict and reason of a claim whose parts have not all ended well."""
    if definition.needs and not parts:
        return "not_at_this_scale", "Its jobs take longer than this scale allows; run scale small."
    for part in parts:
        run = runs.get(part)
        if run is None or run.state in ("waiting", "queued", "running", "cancelling"):
            return "not_run", f"The job of its part {part} has not ended."
        if run.state != "succeeded":
            detail = (run.error or {}).get("detail", f"the job was {run.state}")
            return "not_run", f"The job of its part {part} failed: {detail}."
    return None


def _links(run: PartRun) -> list[str]:
    return ([] if run.job is None else [f"/v1/jobs/{run.job}"]) + run.products


def _tolerance(claim: str) -> float:
    tolerance = BY_ID[claim].tolerance
    return 0.0 if tolerance is None else tolerance


def _descent(evidence: Evidence, _: float) -> Finding:
    if evidence.descent is None:
        raise InvalidInput("there is no energy report of layers")
    return energy_claims.blocks_search(evidence.descent)


_RULES: dict[str, Callable[[Evidence, float], Finding]] = {
    "E1": lambda evidence, limit: theory_claims.attractors_differ(),
    "P1": lambda evidence, limit: energy_claims.proposition(evidence.energies, 1),
    "P2": lambda evidence, limit: energy_claims.proposition(evidence.energies, 2),
    "P3": lambda evidence, limit: energy_claims.proposition(evidence.energies, 3),
    "Q12": lambda evidence, limit: theory_claims.ball_integral([report.d_model for report in evidence.radius], limit),
    "Q14": lambda evidence, limit: theory_claims.balance_of_data(limit),
    "D1": _descent,
    "A2": lambda evidence, limit: radius_claims.held_out_covered(evidence.held_out, limit),
    "A3": lambda evidence, limit: energy_claims.patterns_stored(evidence.energies, limit),
    "F1a": lambda evidence, limit: radius_claims.distance_is(evidence.radius, 20.0, limit),
    "F1b": lambda evidence, limit: radius_claims.distance_falls(evidence.radius),
    "F1c": lambda evidence, limit: radius_claims.radius_near_unit_ball(evidence.radius, limit),
    "F1d": lambda evidence, limit: radius_claims.distance_law(evidence.radius),
    "F1e": lambda evidence, limit: theory_claims.shares_sampled(evidence.shares, limit),
    "F2a": lambda evidence, limit: training_claims.settles_near_one(
        evidence.losses("questions", "questions_deep"), limit
    ),
    "F2b": lambda evidence, limit: training_claims.loss_at_least_one(
        evidence.losses("half_nouns", "one_noun", "few_lines"), limit
    ),
    "F3a": lambda evidence, limit: training_claims.table_is_met(evidence.sweep("table3"), limit),
    "F3b": lambda evidence, limit: training_claims.exponent_of_data(evidence.sweep("table3")),
    "F3c": lambda evidence, limit: theory_claims.printed_table(limit),
    "G1": lambda evidence, limit: theory_claims.printed_configurations(limit),
    "G2": lambda evidence, limit: training_claims.seeds_agree(evidence.sweep("seeds"), limit),
    "T2": lambda evidence, limit: theory_claims.losses_of_laws(limit),
    "AE": lambda evidence, limit: theory_claims.size_of_medium(limit),
    "U1": lambda evidence, limit: theory_claims.quoted_constant(limit),
}
