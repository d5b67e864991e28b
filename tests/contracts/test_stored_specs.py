"""Specs as the database holds them: all that the API stores are read back equal; those of other versions, or named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.contracts.extraction import vector_fields
from service.contracts.jobs import JobSpec
from service.contracts.presets import PRESETS
from service.contracts.specs import merge, read_spec, stored_spec
from service.contracts.sweeps import SweepSpec
from service.errors import UnsupportedSpec

EXTRACTION = {"model": "gpt2", "corpus": "python-docs"}
SENTENCES = next(dict(preset.spec) for preset in PRESETS if preset.id == "smoke/f2")
WINDOWS = next(dict(preset.spec) for preset in PRESETS if preset.id == "smoke/f3")
GIVEN: list[tuple[Any, dict[str, Any]]] = [
    *((preset.kind, {"preset": preset.id}) for preset in PRESETS),
    *((preset.kind, dict(preset.spec)) for preset in PRESETS),
    ("extraction", EXTRACTION),
    ("extraction", EXTRACTION | {"bos": "model", "loss": True}),
    ("extraction", EXTRACTION | {"position": 3, "chunks_per_document": 2, "revision": "main", "reuse": False}),
    ("radius", {"activations": "act-0"}),
    ("radius", {"activations": "act-0", "fractions": [1], "radii": [0, 1e300], "k": 64}),
    ("radius", {"activations": "act-0", "reference": "act-1", "exclude": "same_document"}),
    ("energy", {"activations": ["act-0", "act-1"], "beta": [1, 1e6], "sample": 5, "queries": "act-2"}),
    ("energy", {"builtin": "figure1"}),
    ("analysis", EXTRACTION | {"radius": None, "energy": {"layers": "together"}}),
    ("analysis", EXTRACTION | {"radius": {"k": 2}, "seed": 2**63 - 1}),
    ("training", SENTENCES),
    ("training", SENTENCES | {"radius": {"rows": 10}, "loss": "sum", "seed": 5}),
    ("training", SENTENCES | {"keep": {"best": True, "last": 3}}),
    ("training", {"preset": "smoke/f2", "data": {"folder": "lines"}}),
    ("training", WINDOWS),
    ("training", WINDOWS | {"radius": {"sites": ["final_norm_out"], "tokens": 16}, "micro_batch": 1}),
    ("reproduction", {}),
    ("reproduction", {"scale": "paper", "claims": ["P1", "E1"], "model": "gpt2", "seed": 3}),
    ("sweep", {"training": {"preset": "smoke/f2", "steps": 5}, "seeds": [3, 1]}),
    ("sweep", {"training": WINDOWS, "tokens": [20_000], "models": [{"name": "A", "model": {"d_head": 8}}]}),
]
NAMES = [f"{kind}-{given.get('preset', place)}" for place, (kind, given) in enumerate(GIVEN)]


def in_the_database(spec: JobSpec) -> dict[str, Any]:
    """What a JSON column gives back."""
    return json.loads(json.dumps(spec.model_dump(mode="json")))


def stored(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    return in_the_database(read_spec(kind, given))


@pytest.mark.parametrize(("kind", "given"), GIVEN, ids=NAMES)
def test_every_spec_that_is_stored_is_read_back_equal(kind: Any, given: dict[str, Any]):
    values = stored(kind, given)
    spec = stored_spec(kind, values)
    assert in_the_database(spec) == values
    assert stored_spec(kind, values) == spec


def test_a_preset_is_not_applied_again():
    values = stored("training", {"preset": "smoke/f3", "steps": 7})
    del values["log_every"]
    values["eval_every"] = 3
    spec: Any = stored_spec("training", values)
    assert (spec.preset, spec.steps, spec.eval_every, spec.log_every) == ("smoke/f3", 7, 3, 1)
    values["preset"] = "a/preset-of-another-version"
    assert stored_spec("training", values).model_dump()["preset"] == "a/preset-of-another-version"


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("extraction", EXTRACTION, "reuse"),
        ("radius", {"activations": "act-0"}, "reference"),
        ("energy", {"builtin": "figure1"}, "sample"),
        ("analysis", EXTRACTION, "energy"),
        ("training", SENTENCES, "radius"),
        ("training", WINDOWS, "window_steps"),
        ("sweep", {"training": WINDOWS}, "sigma_sq"),
    ],
)
def test_an_older_spec_gets_the_default_of_a_field_that_it_lacks(kind: Any, given: dict[str, Any], field: str):
    newest = stored(kind, given)
    older = {name: value for name, value in newest.items() if name != field}
    assert field in newest
    expected = stored_spec(kind, newest).model_copy(
        update={field: type(stored_spec(kind, newest)).model_fields[field].default}
    )
    assert stored_spec(kind, older) == expected


def test_the_training_of_an_older_sweep_gets_defaults_too():
    values = stored("sweep", {"training": WINDOWS})
    del values["training"]["log_every"]
    del values["training"]["data"]["deduplicate"]
    spec = stored_spec("sweep", values)
    assert isinstance(spec, SweepSpec)
    assert spec.training["log_every"] == 1
    assert spec.training["data"]["deduplicate"] is False


@pytest.mark.parametrize(
    ("kind", "given", "changes", "field"),
    [
        ("extraction", EXTRACTION, {"pooling": "mean"}, "spec.pooling"),
        ("radius", {"activations": "act-0"}, {"pooling": "mean"}, "spec.pooling"),
        ("radius", {"activations": "act-0"}, {"model": "gpt2"}, "spec.model"),
        ("energy", {"builtin": "figure1"}, {"transform": "none"}, "spec.transform"),
        ("analysis", EXTRACTION, {"radius": {"pooling": None}}, "spec.radius.pooling"),
        ("training", SENTENCES, {"model": {"d_rotary": 2}}, "spec.model.d_rotary"),
        ("training", WINDOWS, {"experiment": "mamba"}, "spec.experiment"),
        ("sweep", {"training": WINDOWS}, {"training": {"shards": 2}}, "spec.training.shards"),
        ("sweep", {"training": WINDOWS}, {"models": [{"name": "A", "model": {"d_rotary": 2}}]}, "spec.models.0.model"),
        ("sweep", {"training": WINDOWS}, {"models": [{"name": "A", "shards": 2}]}, "spec.models.0.shards"),
        ("sweep", {"training": WINDOWS}, {"training": None}, "spec.training"),
        ("extraction", EXTRACTION, {"dtype": "float8"}, "spec.dtype"),
        ("extraction", EXTRACTION, {"sites": ["blocks.0.hook_q"]}, "spec.sites.0"),
        ("radius", {"activations": "act-0"}, {"k": 65}, "spec.k"),
    ],
)
def test_a_newer_spec_fails_and_its_field_is_named(
    kind: Any, given: dict[str, Any], changes: dict[str, Any], field: str
):
    with pytest.raises(UnsupportedSpec) as refused:
        stored_spec(kind, merge(stored(kind, given), changes))
    assert (refused.value.code, refused.value.field) == ("unsupported_spec", field)


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("extraction", {}, "spec.model"),
        ("radius", {}, "spec.activations"),
        ("training", {}, "spec.experiment"),
        ("training", {"experiment": "openelm"}, "spec.steps"),
        ("sweep", {}, "spec.training"),
        ("unheard_of", {}, "kind"),
    ],
)
def test_what_has_no_default_is_named(kind: str, values: dict[str, Any], field: str):
    with pytest.raises(UnsupportedSpec) as refused:
        stored_spec(kind, values)
    assert refused.value.field == field


def test_an_extraction_of_an_earlier_version_is_the_same_as_one_without_bos():
    newest = stored("extraction", EXTRACTION)
    older = {name: value for name, value in newest.items() if name != "bos"}
    assert vector_fields(older) == vector_fields(newest)
    assert vector_fields(newest | {"bos": "model"}) != vector_fields(newest)
    assert vector_fields(newest | {"loss": True, "sites": ["final_norm_out"]}) == vector_fields(newest)
