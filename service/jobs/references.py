"""Checks that the sets, corpora and models that a spec names exist, and names the field of one that does not."""

from __future__ import annotations

import sqlalchemy as sa

from service.artifacts.model_folders import find_model_folder
from service.catalog import activations, corpora, training
from service.catalog.engine import Catalog
from service.contracts.activations import ActivationSummary
from service.contracts.corpora import how_to_register
from service.contracts.energy import EnergySpec
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import JobSpec
from service.contracts.presets import DEMO_MODEL
from service.contracts.radius import RadiusSpec
from service.contracts.reproduction import ReproductionSpec
from service.contracts.run_models import RunModel, parse_run_model
from service.contracts.sweeps import SweepSpec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec, TrainingSpec
from service.errors import InvalidInput, NotFound, TooLarge, UnsupportedModel
from service.paths import leaves_root
from service.settings import Settings

_NO_DEMO_MODEL = (
    f"{DEMO_MODEL} is the model that `radius demo` (`make demo`) trains, and it is not under the models root "
    "(RADIUS_MODELS_DIR): run it once, or name another model"
)


def name_step(catalog: Catalog, spec: JobSpec) -> JobSpec:
    """The spec with the step of a run's newest kept model, where an extraction names the run alone."""
    if not isinstance(spec, ExtractionSpec):
        return spec
    try:
        named = parse_run_model(spec.model)
        if named is None:
            return spec
        with catalog.read() as connection:
            return spec.model_copy(update={"model": str(_kept(connection, named))})
    except InvalidInput as error:
        raise InvalidInput(error.detail, field="spec.model") from error


def check_spec(connection: sa.Connection, spec: JobSpec, settings: Settings) -> None:
    """Check what a spec names, also the files of a model folder, for which no writing transaction should wait.

    Raises:
        InvalidInput: with the field whose reference is missing or does not fit.
        TooLarge: it exceeds a limit.
    """
    if isinstance(spec, ExtractionSpec):
        _check_extraction(spec, settings)
    check_references(connection, spec)


def check_references(connection: sa.Connection, spec: JobSpec) -> None:
    """Raise `InvalidInput` with the field whose row is missing or does not fit; the transaction keeps these rows."""
    try:
        if isinstance(spec, RadiusSpec):
            _check_sets(connection, spec)
        elif isinstance(spec, EnergySpec):
            _check_layers(connection, spec)
        elif isinstance(spec, QuestionFormationSpec | OpenELMSpec):
            _check_training(connection, spec, "spec.")
        elif isinstance(spec, SweepSpec):
            _check_training(connection, next(spec.runs()).spec, "spec.training.")
        elif isinstance(spec, ReproductionSpec):
            _check_reproduction(connection, spec)
        else:
            _check_model_and_corpus(connection, spec)
    except NotFound as error:
        raise InvalidInput(error.detail, field=f"spec.{error.field}") from error


def _check_layers(connection: sa.Connection, spec: EnergySpec) -> None:
    if not spec.activations:
        return
    activations.lock_for_reading(connection, [*spec.activations, *([spec.queries] if spec.queries else [])])
    sets = [activations.get(connection, set_id)[0] for set_id in spec.activations]
    if len({found.d_model for found in sets}) > 1:
        raise InvalidInput("the sets must have one d_model", field="spec.activations")
    if spec.queries is None:
        if len({found.n for found in sets}) > 1:
            raise InvalidInput("layers over the same chunks have equally many rows", field="spec.activations")
        if sets[0].n < 2:
            raise InvalidInput("a row has no other pattern; two rows are needed", field="spec.activations")
        return
    _check_width(_set_in(connection, spec.queries, "spec.queries"), sets[0], "queries", "spec.queries")


def _check_sets(connection: sa.Connection, spec: RadiusSpec) -> None:
    activations.lock_for_reading(connection, [spec.activations, *([spec.reference] if spec.reference else [])])
    queries, _ = activations.get(connection, spec.activations)
    if spec.reference is None:
        return
    _check_width(_set_in(connection, spec.reference, "spec.reference"), queries, "reference", "spec.reference")


def _check_extraction(spec: ExtractionSpec, settings: Settings) -> None:
    if spec.chunks > settings.max_chunks:
        raise TooLarge(f"at most {settings.max_chunks} chunks per job (max_chunks)", field="spec.chunks")
    if isinstance(spec.position, int) and spec.position >= spec.chunk_tokens:
        raise InvalidInput("position must lie within the chunk", field="spec.position")
    if parse_run_model(spec.model) is None:
        _check_model_folder(spec, settings)
    elif spec.revision is not None:
        raise InvalidInput("only a model of the hub has a revision; this is a kept model", field="spec.revision")
    elif spec.bos == "model":
        raise InvalidInput("the tokenizer of a kept model has no BOS token", field="spec.bos")


def _check_model_and_corpus(connection: sa.Connection, spec: ExtractionSpec) -> None:
    named = parse_run_model(spec.model)
    if named is not None:
        training.lock_for_reading(connection, named.run)
        _kept(connection, named)
    _check_corpus(connection, spec.corpus, "spec.corpus")


def _check_reproduction(connection: sa.Connection, spec: ReproductionSpec) -> None:
    """Check a reproduction's names; corpora and models of its scale may be missing: their claims are then not run."""
    if spec.model is not None:
        named = parse_run_model(spec.model)
        if named is not None:
            _kept(connection, named)
        elif leaves_root(spec.model):
            raise InvalidInput("a model is a hub id or a folder under the models root", field="spec.model")
    if spec.corpus is not None:
        _check_corpus(connection, spec.corpus, "spec.corpus")


def _check_model_folder(spec: ExtractionSpec, settings: Settings) -> None:
    """Check the configuration of a model folder that is here."""
    try:
        folder = find_model_folder(spec.model, spec.revision, settings.models_root)
        if folder is not None:
            folder.read_config()
            if spec.bos == "model" and folder.bos_token() is None:
                raise InvalidInput("the model's tokenizer has no BOS token", field="bos")
        elif spec.model == DEMO_MODEL:
            raise InvalidInput(_NO_DEMO_MODEL, field="model")
    except UnsupportedModel as error:
        raise UnsupportedModel(error.detail, field=f"spec.{error.field}") from error
    except InvalidInput as error:
        raise InvalidInput(error.detail, field=f"spec.{error.field}") from error


def _kept(connection: sa.Connection, named: RunModel) -> RunModel:
    """The kept model that is named, or the newest; raises `InvalidInput` if there is none."""
    kept = [checkpoint.step for checkpoint in training.checkpoints(connection, named.run)]
    if not kept or (named.step is not None and named.step not in kept):
        raise InvalidInput("the run has kept no such model; GET /v1/training/{id} lists them", field="spec.model")
    return RunModel(named.run, kept[-1] if named.step is None else named.step)


def _check_training(connection: sa.Connection, spec: TrainingSpec, prefix: str) -> None:
    if isinstance(spec, OpenELMSpec):
        _check_corpus(connection, spec.data.corpus, f"{prefix}data.corpus")
        if leaves_root(spec.data.tokenizer):
            detail = "a tokenizer is a hub id or a folder under the models root"
            raise InvalidInput(detail, field=f"{prefix}data.tokenizer")
    elif spec.data.folder is not None and leaves_root(spec.data.folder):
        raise InvalidInput("a folder is one under the corpora root", field=f"{prefix}data.folder")


def _check_corpus(connection: sa.Connection, name: str, field: str) -> None:
    try:
        corpora.lock_for_reading(connection, name)
        corpus = corpora.find(connection, name)
    except NotFound as error:
        raise InvalidInput(how_to_register(name) or error.detail, field=field) from error
    if corpus.state == "failed":
        raise InvalidInput("this corpus could not be read; GET /v1/corpora/{id} says why", field=field)


def _set_in(connection: sa.Connection, set_id: str, field: str) -> ActivationSummary:
    """The set that a field names; raises `InvalidInput` with the field if there is none."""
    try:
        return activations.get(connection, set_id)[0]
    except NotFound as error:
        raise InvalidInput(error.detail, field=field) from error


def _check_width(other: ActivationSummary, first: ActivationSummary, name: str, field: str) -> None:
    if other.d_model != first.d_model:
        verb = "have" if name.endswith("s") else "has"
        detail = f"the {name} {verb} d_model {other.d_model}, the activations {first.d_model}"
        raise InvalidInput(detail, field=field)
