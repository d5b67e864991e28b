"""The workload of a job, from its spec and from what the catalog and the folders hold of its corpus, model and sets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from service.artifacts.model_folders import find_model_folder
from service.catalog import activations, corpora, reuse, training
from service.contracts.energy import AnalysisEnergy, EnergySpec
from service.contracts.estimates import Calibration, Reusable
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec, JobSpec
from service.contracts.model_config import ModelConfig
from service.contracts.radius import RadiusSpec
from service.contracts.reading import read_contract
from service.contracts.reproduction import ReproductionSpec
from service.contracts.run_models import RunModel, parse_run_model
from service.contracts.specs import read_spec
from service.contracts.sweeps import SweepSpec
from service.contracts.training import BYTES, EXPERIMENTS, OpenELMSpec, TrainingSpec
from service.errors import InvalidInput, NotFound, RadiusError
from service.estimates.pricing import Work
from service.estimates.shapes import (
    GPT2_VOCABULARY,
    LINE_WORDS,
    ModelShape,
    SampleShape,
    decoder_shape,
    gpt2_shape,
    lines_of,
    sample_shape,
    training_shape,
)
from service.estimates.shards import chunks_of_shard
from service.estimates.work import (
    PROCESS_BYTES,
    SetShape,
    energy_work,
    extraction_work,
    radius_work,
    tokenising_bytes,
    training_work,
)
from service.jobs.references import check_spec
from service.reproduction.required_jobs import claims_of, model_of, part_job, parts_of
from service.settings import Settings
from service.theory.transformer_size import GPT2

_GPU_FLOP_S, _LEAST_HOURS = 1e14, 0.1  # a third of the bfloat16 peak of an A100; hours that are worth a note
_TRAINING_NOTES = ["a trainer, where one is alive, is assumed to be as fast as a compute worker"]


@dataclass
class Workload:
    """The work of a job by stages, with notes on what was assumed; `rows` is None if unknown.

    `certain` is false if the job may turn out smaller because its corpus has not been counted.
    """

    stages: list[Work] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int | None = None
    reused: Reusable | None = None
    certain: bool = True


class WorkloadModel:
    """Computes the workload of jobs from the catalog's current state.

    Args:
        gpu: whether all compute workers have a GPU.
        speeds: of their device, where it was measured.
    """

    def __init__(self, settings: Settings, *, gpu: bool = False, speeds: Calibration | None = None) -> None:
        self.settings, self.gpu, self.speeds = settings, gpu, speeds

    def of(self, connection: sa.Connection, spec: JobSpec) -> Workload:
        """The workload of a job whose references were checked."""
        if isinstance(spec, RadiusSpec):
            return self._of_radius(connection, spec)
        if isinstance(spec, EnergySpec):
            return self._of_energy(connection, spec)
        if isinstance(spec, SweepSpec):
            return self._of_sweep(connection, spec)
        if isinstance(spec, ExtractionSpec):
            return self._of_extraction(connection, spec)
        if isinstance(spec, ReproductionSpec):
            return self._of_reproduction(connection, spec)
        return self._of_training(connection, spec)

    def _of_radius(self, connection: sa.Connection, spec: RadiusSpec) -> Workload:
        queries = _set(connection, spec.activations)
        database = queries if spec.reference is None else _set(connection, spec.reference)
        return Workload(radius_work(queries, database, spec, self.settings), rows=queries.n)

    def _of_energy(self, connection: sa.Connection, spec: EnergySpec) -> Workload:
        if not spec.activations:
            return Workload([Work("energy", {"reports": 1.0})], rows=0)
        layers = [_set(connection, set_id) for set_id in spec.activations]
        points = layers[-1].n if spec.queries is None else _set(connection, spec.queries).n
        work = energy_work(layers, points, spec, self.settings, within=spec.queries is None)
        return Workload([work], rows=points)

    def _of_extraction(self, connection: sa.Connection, spec: ExtractionSpec) -> Workload:
        documents, text, longest = _counts(connection, spec.corpus)
        sample = sample_shape(spec, documents, text, longest)
        workload = Workload(notes=list(sample.assumed), rows=sample.rows, certain=documents is not None)
        model = self._model(connection, spec.model)
        if model is None:
            workload.rows = None
            workload.notes.append("the model's sizes are not known here; what depends on them is left out")
            workload.stages = [Work("sample", {"tokenising": sample.text_bytes})]
            return workload
        if model.n_ctx is not None and spec.chunk_tokens + (spec.bos == "model") > model.n_ctx:
            beside = ", one of which is the BOS token" if spec.bos == "model" else ""
            raise InvalidInput(f"the model's context is {model.n_ctx} tokens{beside}", field="spec.chunk_tokens")
        try:
            spec = spec.model_copy(update={"sites": model.site_names.distinct(spec.sites)})
            per_shard = chunks_of_shard(spec, self.settings, model, gpu=self.gpu, speeds=self.speeds)
            works = extraction_work(spec, sample, model, self.settings, per_shard)
        except InvalidInput as error:
            raise InvalidInput(error.detail, field=f"spec.{error.field}") from error
        made = reuse.made_before(connection, spec) if spec.reuse else None
        if made is not None:
            workload.reused = Reusable(job=made[0], activations=made[1])
            workload.notes.append(
                "the sets are there already; if corpus or model have changed, they are extracted anew"
            )
            works = works[:1]
        workload.stages = works + self._analysis_work(spec, sample, model)
        return workload

    def _analysis_work(self, spec: ExtractionSpec, sample: SampleShape, model: ModelShape) -> list[Work]:
        if not isinstance(spec, AnalysisSpec):
            return []
        one = SetShape(sample.rows, model.d_model)
        works: list[Work] = []
        if spec.radius is not None:
            works += [work for _ in spec.named_sites for work in radius_work(one, one, spec.radius, self.settings)]
        if isinstance(spec.energy, AnalysisEnergy):
            together = spec.energy.layers == "together"
            groups = [[one] * len(spec.named_sites)] if together else [[one]] * len(spec.named_sites)
            works += [energy_work(layers, one.n, spec.energy, self.settings) for layers in groups]
        return works

    def _of_training(self, connection: sa.Connection, spec: TrainingSpec) -> Workload:
        works = [self._prepare(connection, spec), *self._run_work(spec)]
        return Workload(works, rows=spec.steps, notes=_TRAINING_NOTES)

    def _of_sweep(self, connection: sa.Connection, spec: SweepSpec) -> Workload:
        """Runs of one model differ only in D and seed, which change no cost."""
        cells = list(spec.runs())
        works = [self._prepare(connection, cells[0].spec)]
        for name in dict.fromkeys(cell.model for cell in cells):
            runs = [cell.spec for cell in cells if cell.model == name]
            works += self._run_work(runs[0], stage=f"train {name}", repeats=len(runs))
        works.append(Work("tabulate", {"reports": float(len(cells) + 1)}, segments=len(cells) + 1))
        return Workload(works, rows=sum(cell.spec.steps for cell in cells), notes=_TRAINING_NOTES)

    def _of_reproduction(self, connection: sa.Connection, spec: ReproductionSpec) -> Workload:
        """The work of all parts, also of those that cannot run here, with the reason."""
        workload = Workload(rows=len(claims_of(spec)), certain=False)
        for part in parts_of(spec):
            wanted = part_job(part, spec, model_of(spec))
            inner = read_spec(wanted.kind, wanted.spec)
            try:
                check_spec(connection, inner, self.settings)
            except RadiusError as error:
                workload.notes.append(f"{part} cannot run here: {error.detail}")
            found = self.of(connection, inner)
            workload.stages += [replace(work, stage=f"{part}: {work.stage}") for work in found.stages]
            workload.notes += [*(f"{part}: {note}" for note in found.notes), *_gpu_hours(part, found.stages)]
        workload.stages.append(Work("report", {"reports": 1.0}))
        return workload

    def _run_work(self, spec: TrainingSpec, *, stage: str = "train", repeats: int = 1) -> list[Work]:
        shape = training_shape(spec, self._vocabulary(spec))
        return training_work(spec, shape, self.settings, stage=stage, repeats=repeats)

    def _prepare(self, connection: sa.Connection, spec: TrainingSpec) -> Work:
        if not isinstance(spec, OpenELMSpec):
            return Work("prepare", {"generating": sum(lines_of(spec.data).values())}, memory_bytes=PROCESS_BYTES)
        _, text, longest = _counts(connection, spec.data.corpus)
        text, memory = text or 0, PROCESS_BYTES + tokenising_bytes(longest or 0)
        return Work("prepare", {"tokenising": float(text)}, written_bytes=text, memory_bytes=memory)

    def _vocabulary(self, spec: TrainingSpec) -> int:
        if not isinstance(spec, OpenELMSpec):
            return LINE_WORDS
        if spec.data.tokenizer == BYTES:
            return 2**8
        config = self._config(spec.data.tokenizer)
        return GPT2_VOCABULARY if config is None else config.d_vocab

    def kept_model(self, connection: sa.Connection, name: RunModel) -> ModelShape:
        """The shape of the models that a run keeps; raises `NotFound` if there is no such run."""
        run = training.get(connection, name.run)
        spec = read_contract(EXPERIMENTS[run.experiment], run.spec)
        embedding = run.parameters["total"] - run.parameters["without_embeddings"]
        return training_shape(spec, max(1, embedding // spec.model.d_model))

    def _model(self, connection: sa.Connection, name: str) -> ModelShape | None:
        kept = parse_run_model(name)
        if kept is not None:
            return self.kept_model(connection, kept)
        config = self._config(name)
        if config is not None:
            return decoder_shape(config)
        released = GPT2.get(name.removeprefix("openai-community/"))
        return None if released is None else gpt2_shape(released)

    def _config(self, name: str) -> ModelConfig | None:
        """The `config.json` of a model in a folder under the models root; None for others."""
        try:
            folder = find_model_folder(name, None, self.settings.models_root)
            return None if folder is None else folder.read_config()
        except InvalidInput:  # a folder of a tokenizer alone
            return None


def _gpu_hours(part: str, works: list[Work]) -> list[str]:
    """Hours of one GPU for a part's forward passes and training, at a speed that the note gives."""
    flop = sum(work.repeats * sum(work.amounts.get(name, 0.0) for name in ("forward", "training")) for work in works)
    hours = flop / _GPU_FLOP_S / 3600
    return [f"{part}: {hours:.3g} GPU hours at {_GPU_FLOP_S:.0e} FLOP/s"] if hours >= _LEAST_HOURS else []


def _counts(connection: sa.Connection, name: str) -> tuple[int | None, int | None, int | None]:
    """Documents, bytes and longest document of a corpus; None where they are not counted or it is not registered."""
    try:
        found = corpora.find(connection, name)
    except NotFound:
        return None, None, None
    return found.documents, found.bytes, found.longest_bytes


def _set(connection: sa.Connection, set_id: str) -> SetShape:
    try:
        found, _ = activations.get(connection, set_id)
    except NotFound as error:
        raise AssertionError("references are checked before") from error
    return SetShape(found.n, found.d_model)
