"""Specs are read here: one that a client sends (over a preset's values), and one that the database holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.contracts.energy import EnergySpec
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec, JobKind, JobSpec
from service.contracts.presets import find_preset
from service.contracts.radius import RadiusSpec
from service.contracts.reading import Model, describe_errors, read_contract
from service.contracts.reproduction import ReproductionSpec
from service.contracts.sweeps import SweepSpec
from service.contracts.training import EXPERIMENTS, PUBLISHED_LINES, QuestionFormationSpec, TrainingSpec
from service.errors import FieldErrors, InvalidInput, NotAvailable, UnsupportedSpec

_SPECS: dict[str, type[ExtractionSpec | RadiusSpec | EnergySpec | AnalysisSpec | ReproductionSpec]] = {
    "extraction": ExtractionSpec,
    "radius": RadiusSpec,
    "energy": EnergySpec,
    "analysis": AnalysisSpec,
    "reproduction": ReproductionSpec,
}


def read_spec(kind: JobKind, given: dict[str, Any]) -> JobSpec:
    """The validated spec of a job of `kind`: the given values over those of the preset they name, then defaults.

    Raises:
        NotAvailable: a kind or an option that this version does not serve.
        InvalidInput: an unknown preset, one of another kind, or a field that is wrong.
    """
    if kind == "training":
        return _read_training(given, "spec.")
    given = _over_preset(kind, given, "spec.")
    if kind == "sweep":
        return _read_sweep(given)
    spec = read_contract(_SPECS[kind], given, prefix="spec.")
    _refuse_unavailable(spec)
    return spec


def stored_spec(kind: str, stored: Mapping[str, Any]) -> JobSpec:
    """The spec of a job of `kind` as the database holds it; fields that an older version lacked get their defaults.

    A preset that it names is not applied again: its values are in `stored` already.

    Raises:
        UnsupportedSpec: a kind, a field or a value of another version, which this one does not accept.
    """
    values = dict(stored)
    if kind == "training":
        return _stored_training(values, "spec.")
    if kind == "sweep":
        return _stored_sweep(values)
    if kind not in _SPECS:
        raise UnsupportedSpec("this version has no such kind of job", field="kind")
    return _validate_stored(_SPECS[kind], values, "spec.")


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`: an object is merged into an object, any other value is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _over_preset(kind: JobKind, given: dict[str, Any], prefix: str) -> dict[str, Any]:
    """`given` over the values of the preset it names, if it names one."""
    if not isinstance(preset_id := given.get("preset"), str):
        return given
    preset = find_preset(preset_id, f"{prefix}preset")
    if preset.kind != kind:
        raise InvalidInput(f"this preset is for jobs of kind {preset.kind}", field=f"{prefix}preset")
    return merge(_without_lines(preset.spec, given), given)


def _without_lines(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`spec` without its numbers of generated lines where `given` reads the lines from a folder."""
    data = given.get("data")
    if not isinstance(data, dict) or data.get("folder") is None or "data" not in spec:
        return spec
    return spec | {"data": {name: value for name, value in spec["data"].items() if name not in PUBLISHED_LINES}}


def _read_training(given: dict[str, Any], prefix: str) -> TrainingSpec:
    given = _over_preset("training", given, prefix)
    experiment = given.get("experiment")
    if not isinstance(experiment, str) or experiment not in EXPERIMENTS:
        detail = "must be question_formation or openelm, or come from a preset"
        raise InvalidInput(detail, field=f"{prefix}experiment")
    return read_contract(EXPERIMENTS[experiment], given, prefix=prefix)


def _read_sweep(given: dict[str, Any]) -> SweepSpec:
    """The training that it names is read first, whole; then every run of the grid."""
    training = given.get("training")
    if not isinstance(training, dict):
        raise InvalidInput("must be an object: a training, or a preset of one", field="spec.training")
    base = _read_training(training, "spec.training.")
    if base.radius is not None:
        raise NotAvailable("the radius during training is measured in single runs only", field="spec.training.radius")
    if isinstance(base, QuestionFormationSpec) and base.data.seed is None:  # all runs learn the same lines
        base = base.model_copy(update={"data": base.data.model_copy(update={"seed": base.seed})})
    spec = read_contract(SweepSpec, given | {"training": base.model_dump(mode="json")}, prefix="spec.")
    spec.check_runs()
    return spec


def _refuse_unavailable(spec: JobSpec) -> None:
    if isinstance(spec, RadiusSpec) and spec.reference is not None:
        if spec.engine not in ("auto", "exact"):
            raise NotAvailable("another set is searched by the exact engine only", field="spec.engine")
        if spec.radii is not None:
            raise NotAvailable("pairs are counted within one set only", field="spec.radii")


def _stored_training(values: dict[str, Any], prefix: str) -> TrainingSpec:
    experiment = values.get("experiment")
    if not isinstance(experiment, str) or experiment not in EXPERIMENTS:
        raise UnsupportedSpec("this version has no such experiment", field=f"{prefix}experiment")
    return _validate_stored(EXPERIMENTS[experiment], values, prefix)


def _stored_sweep(values: dict[str, Any]) -> SweepSpec:
    training = values.get("training")
    if not isinstance(training, dict):
        raise UnsupportedSpec("must be an object: a training", field="spec.training")
    base = _stored_training(training, "spec.training.")
    spec = _validate_stored(SweepSpec, values | {"training": base.model_dump(mode="json")}, "spec.")
    try:
        spec.check_runs()
    except InvalidInput as error:
        raise _unsupported(error.errors) from error
    return spec


def _validate_stored(kind: type[Model], values: dict[str, Any], prefix: str) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        # The names in a stored spec come from a version of this service, so an unknown one is named too.
        raise _unsupported(describe_errors(error.errors(), prefix=prefix, name_unknown=True)) from error


def _unsupported(errors: FieldErrors) -> UnsupportedSpec:
    detail = "; ".join(f"{found['field']}: {found['message']}" for found in errors)
    return UnsupportedSpec(f"this version cannot read the stored spec: {detail}", field=errors[0]["field"])
