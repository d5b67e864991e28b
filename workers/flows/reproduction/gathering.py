"""The published products of a reproduction's parts → the evidence of its rules, and what was run for each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.artifacts.activation_set import ActivationSet, rows_name
from service.artifacts.mapped import map_tensors
from service.artifacts.report import EnergyFolder, ReportFolder
from service.catalog import activations, jobs, sweeps, training
from service.catalog import energy as energy_catalog
from service.catalog import radius as radius_catalog
from service.contracts.claims import PartName
from service.contracts.energy_report import EnergyReport
from service.contracts.jobs import Job
from service.contracts.radius import RadiusReport
from service.contracts.reproduction import PartRun
from service.errors import CorruptArtifact, NotFound
from service.reproduction.evidence import Evidence
from service.reproduction.radius_claims import HeldOut
from service.reproduction.theory_claims import SampleShares
from service.reproduction.training_claims import RunLosses
from workers.flows.engine.runtime import Runtime
from workers.flows.reproduction.arguments import HeldOutSite, PartOutcome


def gather_evidence(
    outcomes: Sequence[PartOutcome], held_out: Sequence[HeldOutSite], current: Runtime
) -> tuple[Evidence, dict[PartName, PartRun]]:
    """The numbers of all parts that ended well; a part whose products are gone has failed."""
    found, runs = _Gathered(current), dict[PartName, PartRun]()
    for outcome in outcomes:
        run = _run_of(outcome)
        if outcome.state == "succeeded":
            try:
                run = found.add(outcome, run)
            except (NotFound, CorruptArtifact) as error:
                run = run.model_copy(update={"state": "failed", "error": error.as_dict()})
        runs[outcome.part] = run
    sites = tuple(HeldOut(**site.model_dump()) for site in held_out)
    return found.evidence(sites), runs


def _run_of(outcome: PartOutcome) -> PartRun:
    return PartRun(
        part=outcome.part,
        kind=outcome.kind,
        preset=outcome.preset,
        job=outcome.job,
        state=outcome.state,
        reused=outcome.reused,
        products=[result.href for result in outcome.results],
        error=outcome.error,
    )


class _Gathered:
    """Reads the products of one part after another."""

    def __init__(self, current: Runtime) -> None:
        self._current = current
        self._radius: list[RadiusReport] = []
        self._energies: list[EnergyReport] = []
        self._descent: EnergyReport | None = None
        self._shares: SampleShares | None = None
        self._runs: dict[PartName, RunLosses] = {}
        self._sweeps: dict[PartName, Any] = {}

    def evidence(self, held_out: tuple[HeldOut, ...]) -> Evidence:
        """All that was read."""
        return Evidence(
            tuple(self._radius),
            tuple(self._energies),
            self._descent,
            held_out,
            self._shares,
            self._runs,
            self._sweeps,
        )

    def add(self, outcome: PartOutcome, run: PartRun) -> PartRun:
        """Read the products of a part; returns what was run, with seed, model, corpus and hashes."""
        assert outcome.job is not None
        job_id = outcome.job
        job = self._current.read(lambda connection: jobs.get(connection, job_id))
        if outcome.kind == "training":
            return run.model_copy(update=self._training(outcome.part, _first(job, "training")))
        if outcome.kind == "sweep":
            return run.model_copy(update=self._sweep(outcome.part, _first(job, "sweep")))
        return run.model_copy(update=self._analysis(outcome.part, job))

    def _analysis(self, part: PartName, job: Job) -> dict[str, Any]:
        energies = [self._energy(each.id) for each in job.results if each.type == "energy"]
        if part == "descent":
            self._descent = energies[0] if energies else None
        else:
            self._energies += energies
            self._radius += [self._report(each.id) for each in job.results if each.type == "radius"]
        folder = self._set(_first(job, "activations"))
        if part == "analysis":
            self._shares = _shares(folder)
        sample, model = folder.manifest.get("sample", {}), folder.manifest.get("model", {})
        hashes = {"chunks": sample.get("chunks_sha256"), "corpus": sample.get("corpus", {}).get("sha256")}
        hashes |= {"model": model.get("sha256") or model.get("content") or model.get("commit")}
        return {
            "seed": job.spec["seed"],
            "model": job.spec["model"],
            "corpus": job.spec["corpus"],
            "hashes": {name: digest for name, digest in hashes.items() if digest},
        }

    def _training(self, part: PartName, run_id: str) -> dict[str, Any]:
        run = self._current.read(lambda connection: training.get(connection, run_id))
        rows, _ = self._current.read(lambda connection: training.metrics(connection, run_id))
        parts = {name: value for name, value in run.losses.items() if value is not None and name != "train_loss"}
        steps, losses = [row.step for row in rows], [row.train_loss for row in rows]
        self._runs[part] = RunLosses(run.name, steps, losses, run.reference_lines, parts)
        hashes = run.data.get("sha256")
        return {"seed": run.spec["seed"], "hashes": hashes if isinstance(hashes, dict) else {}}

    def _sweep(self, part: PartName, sweep_id: str) -> dict[str, Any]:
        found = self._current.read(lambda connection: sweeps.get(connection, sweep_id))
        self._sweeps[part] = found
        return {"seed": found.spec["seeds"][0], "corpus": found.spec["training"].get("data", {}).get("corpus")}

    def _report(self, report_id: str) -> RadiusReport:
        _, sha256 = self._current.read(lambda connection: radius_catalog.get(connection, report_id))
        return ReportFolder(self._current.artifact(report_id), sha256).report()

    def _energy(self, report_id: str) -> EnergyReport:
        _, sha256 = self._current.read(lambda connection: energy_catalog.get(connection, report_id))
        return EnergyFolder(self._current.artifact(report_id), sha256).report()

    def _set(self, set_id: str) -> ActivationSet:
        summary, _ = self._current.read(lambda connection: activations.get(connection, set_id))
        return ActivationSet(self._current.artifact(set_id), summary.sha256)


def _first(job: Job, kind: str) -> str:
    found = next((result.id for result in job.results if result.type == kind), None)
    if found is None:
        raise NotFound(f"{job.id} has published nothing of kind {kind}")
    return found


def _shares(folder: ActivationSet) -> SampleShares:
    """Documents and tokens sampled; all tokens of the corpus by the bytes that a sampled token has."""
    sample, chunk_tokens = folder.manifest["sample"], folder.manifest["extraction"]["chunk_tokens"]
    tokens = sample["chunks"] * chunk_tokens
    shards = range(len(folder.manifest["shard_rows"]))
    read = sum(len(map_tensors(folder.file(rows_name(shard)))["text_utf8"]) for shard in shards)
    there = sample["corpus"].get("bytes")
    return SampleShares(
        documents=sample["documents_sampled"],
        documents_there=sample["corpus"].get("documents"),
        tokens=tokens,
        tokens_there=there * tokens / read if there and read else None,
    )
