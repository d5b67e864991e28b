"""What a job would take, from what the catalog knows of its corpus, model and sets; and whether it fits at all."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa

from service.catalog import activations, calibrations, corpora, jobs, reuse, training, workers
from service.catalog.engine import Catalog
from service.contracts.energy import AnalysisEnergy, EnergySpec
from service.contracts.estimates import Calibration, Device, Estimate, Reusable
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec, JobRequest, JobSpec
from service.contracts.presets import read_spec
from service.contracts.radius import RadiusSpec
from service.contracts.reading import read_contract
from service.contracts.run_models import parse_run_model
from service.contracts.sweeps import SweepSpec
from service.contracts.training import BYTES, EXPERIMENTS, OpenELMSpec, TrainingSpec
from service.errors import DoesNotFit, NotFound, RadiusError
from service.estimates.pricing import Work, price
from service.estimates.shapes import (
    GPT2_VOCABULARY,
    LINE_WORDS,
    ModelShape,
    SampleShape,
    gpt2_shape,
    sample_shape,
    training_shape,
)
from service.estimates.work import PROCESS_BYTES, SetShape, energy_work, extraction_work, radius_work, training_work
from service.jobs.engine import CALIBRATE_WORKFLOW, JobEngine
from service.jobs.references import check_references, name_step
from service.settings import Settings
from service.theory.transformer_size import GPT2, Gpt2Config

_CALIBRATION_PRIORITY = 1
_GIB = 2**30
Number = TypeVar("Number", int, float)


@dataclass
class Plan:
    """The work of a job, stage by stage, and what had to be assumed; `rows` None where it cannot be known."""

    stages: list[Work] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int | None = None
    reused: Reusable | None = None


class Estimation:
    """Estimates of jobs that nobody has submitted, and the refusal of those that cannot fit."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings

    def estimate(self, request: JobRequest) -> Estimate:
        """What the job would take; times are null until a worker's device has been measured.

        Raises:
            InvalidInput, TooLarge: what a submission of it raises, but for `DoesNotFit`.
        """
        spec, settings = name_step(self.catalog, read_spec(request.kind, request.spec)), self.settings
        with self.catalog.read() as connection:
            check_references(connection, spec, settings)
            plan = self._plan(connection, spec)
            found = workers.devices(connection, "compute-", settings.lease_s)
            living = workers.count_alive(connection, "compute-", settings.lease_s)
            waiting = len(jobs.unfinished(connection))
            device = max(found, key=lambda one: one.memory_bytes, default=None)
            speeds = None if device is None else calibrations.get(connection, device.fingerprint)
        overhead_s = 2 * settings.poll_interval_s  # the control worker looks, then a compute worker
        stages = [price(work, speeds, living, overhead_s) for work in plan.stages]
        times, segments = [stage.seconds for stage in stages], [stage.segments for stage in stages]
        reason = self._reason(plan, found)
        return Estimate(
            kind=request.kind,
            stages=stages,
            rows=plan.rows,
            segments=_total(segments),
            seconds=_total(times) if plan.rows is not None else None,
            written_bytes=sum(stage.written_bytes for stage in stages),
            memory_bytes=max(stage.memory_bytes for stage in stages),
            free_disk_bytes=self._free_disk(),
            free_memory_bytes=None if device is None else device.memory_bytes,
            workers=living,
            jobs_before=waiting,
            device=device,
            calibration=speeds,
            reused=plan.reused,
            fits=reason is None,
            reason=reason,
            notes=plan.notes + _notes_on_time(device, speeds),
        )

    def calibrate(self, device: Device) -> None:
        """Have a compute worker measure how fast it is; asking again within a minute changes nothing."""
        name = f"calibrate-{device.fingerprint}-{time.time() // 60:.0f}"
        with self.catalog.begin() as connection:
            self.engine.enqueue(connection, CALIBRATE_WORKFLOW, name, _CALIBRATION_PRIORITY, name)

    def refuse_unfit(self, connection: sa.Connection, spec: JobSpec) -> None:
        """Raise `DoesNotFit`, with the numbers, for a job that needs more disk or memory than there is."""
        found = workers.devices(connection, "compute-", self.settings.lease_s)
        reason = self._reason(self._plan(connection, spec), found)
        if reason is not None:
            raise DoesNotFit(reason, field="spec")

    def _reason(self, plan: Plan, found: list[Device]) -> str | None:
        written, free = sum(work.written_bytes for work in plan.stages), self._free_disk()
        if written > free:
            return f"it writes {_gib(written)}; {_gib(free)} are free on the data directory's disk"
        largest = max((device.memory_bytes for device in found), default=None)
        needed = max((work.memory_bytes for work in plan.stages), default=0)
        if largest is not None and needed > largest:
            return f"a worker of it needs {_gib(needed)} of memory; the largest that lives has {_gib(largest)}"
        return None

    def _free_disk(self) -> int:
        return max(0, shutil.disk_usage(self.settings.data_dir).free - self.settings.disk_reserve_bytes)

    def _plan(self, connection: sa.Connection, spec: JobSpec) -> Plan:
        if isinstance(spec, RadiusSpec):
            return self._plan_radius(connection, spec)
        if isinstance(spec, EnergySpec):
            return _plan_energy(connection, spec)
        if isinstance(spec, SweepSpec):
            return self._plan_sweep(connection, spec)
        if isinstance(spec, ExtractionSpec):
            return self._plan_extraction(connection, spec)
        return self._plan_training(connection, spec)

    def _plan_radius(self, connection: sa.Connection, spec: RadiusSpec) -> Plan:
        asking = _set(connection, spec.activations)
        searched = asking if spec.reference is None else _set(connection, spec.reference)
        return Plan(radius_work(asking, searched, spec, self.settings), rows=asking.n)

    def _plan_extraction(self, connection: sa.Connection, spec: ExtractionSpec) -> Plan:
        corpus = corpora.find(connection, spec.corpus)
        sample = sample_shape(spec, corpus.documents, corpus.bytes)
        plan = Plan(notes=list(sample.assumed), rows=sample.rows)
        model = self._model(connection, spec.model)
        if model is None:
            plan.rows = None
            plan.notes.append("the model's sizes are not known here; what depends on them is left out")
            plan.stages = [Work("sample", {"tokenising": sample.text_bytes})]
            return plan
        made = reuse.made_before(connection, spec) if spec.reuse else None
        works = extraction_work(spec, sample, model, self.settings)
        if made is not None:
            plan.reused = Reusable(job=made[0], activations=made[1])
            plan.notes.append("the sets are there already; if corpus or model have changed, they are extracted anew")
            works = works[:1]
        plan.stages = works + self._analysis_work(spec, sample, model)
        return plan

    def _analysis_work(self, spec: ExtractionSpec, sample: SampleShape, model: ModelShape) -> list[Work]:
        if not isinstance(spec, AnalysisSpec):
            return []
        one = SetShape(sample.rows, model.d_model)
        works: list[Work] = []
        if spec.radius is not None:
            works += [work for _ in spec.sites for work in radius_work(one, one, spec.radius, self.settings)]
        if isinstance(spec.energy, AnalysisEnergy):
            together = spec.energy.layers == "together"
            groups = [[one] * len(spec.sites)] if together else [[one]] * len(spec.sites)
            works += [energy_work(layers, one.n, spec.energy) for layers in groups]
        return works

    def _plan_training(self, connection: sa.Connection, spec: TrainingSpec) -> Plan:
        works = [self._prepare(connection, spec), *self._run_work(spec)]
        return Plan(works, rows=spec.steps, notes=_TRAINING_NOTES)

    def _plan_sweep(self, connection: sa.Connection, spec: SweepSpec) -> Plan:
        """Runs of one model differ in D and seed, which cost nothing."""
        cells = list(spec.runs())
        works = [self._prepare(connection, cells[0].spec)]
        for name in dict.fromkeys(cell.model for cell in cells):
            runs = [cell.spec for cell in cells if cell.model == name]
            works += self._run_work(runs[0], stage=f"train {name}", repeats=len(runs))
        works.append(Work("tabulate", {"reports": float(len(cells) + 1)}, segments=len(cells) + 1))
        return Plan(works, rows=sum(cell.spec.steps for cell in cells), notes=_TRAINING_NOTES)

    def _run_work(self, spec: TrainingSpec, *, stage: str = "train", repeats: int = 1) -> list[Work]:
        shape = training_shape(spec, self._vocabulary(spec))
        return training_work(spec, shape, self.settings, stage=stage, repeats=repeats)

    def _prepare(self, connection: sa.Connection, spec: TrainingSpec) -> Work:
        if not isinstance(spec, OpenELMSpec):
            return Work("prepare", memory_bytes=PROCESS_BYTES)
        text = corpora.find(connection, spec.data.corpus).bytes or 0
        return Work("prepare", {"tokenising": float(text)}, written_bytes=text, memory_bytes=PROCESS_BYTES)

    def _vocabulary(self, spec: TrainingSpec) -> int:
        if not isinstance(spec, OpenELMSpec):
            return LINE_WORDS
        if spec.data.tokenizer == BYTES:
            return 2**8
        folder = self._gpt2(spec.data.tokenizer)
        return GPT2_VOCABULARY if folder is None else folder.d_vocab

    def _model(self, connection: sa.Connection, name: str) -> ModelShape | None:
        kept = parse_run_model(name)
        if kept is not None:
            run = training.get(connection, kept.run)
            spec = read_contract(EXPERIMENTS[run.experiment], run.spec)
            embedding = run.parameters["total"] - run.parameters["without_embeddings"]
            return training_shape(spec, max(1, embedding // spec.model.d_model))
        config = self._gpt2(name)
        return None if config is None else gpt2_shape(config)

    def _gpt2(self, name: str) -> Gpt2Config | None:
        """The sizes of a folder under the models root, or of a released model; None for others."""
        try:
            found = json.loads((self.settings.models_root / name / "config.json").read_bytes())
            sizes = [int(found[key]) for key in ("n_layer", "n_embd", "n_positions", "vocab_size")]
            return Gpt2Config(*sizes, d_mlp=found.get("n_inner"))
        except (OSError, ValueError, KeyError, TypeError, RadiusError):
            return GPT2.get(name.removeprefix("openai-community/"))


_TRAINING_NOTES = ["a trainer of its own, where one lives, is taken for as fast as a compute worker"]


def _plan_energy(connection: sa.Connection, spec: EnergySpec) -> Plan:
    if not spec.activations:
        return Plan([Work("energy", {"reports": 1.0})], rows=0)
    layers = [_set(connection, set_id) for set_id in spec.activations]
    points = layers[-1].n if spec.queries is None else _set(connection, spec.queries).n
    return Plan([energy_work(layers, points, spec)], rows=points)


def _set(connection: sa.Connection, set_id: str) -> SetShape:
    try:
        found, _ = activations.get(connection, set_id)
    except NotFound as error:
        raise AssertionError("references are checked before") from error
    return SetShape(found.n, found.d_model)


def _total(values: list[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if len(known) == len(values) else None


def _notes_on_time(device: Device | None, speeds: Calibration | None) -> list[str]:
    if device is None:
        return ["no compute worker lives, so nothing can be said of time and memory"]
    return [] if speeds is not None else ["the device is being measured; ask again in some seconds"]


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
