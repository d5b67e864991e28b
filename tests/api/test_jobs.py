"""POST /v1/jobs: what is accepted, what is stored, and what is refused with which field."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.contracts.presets import DEMO_MODEL, PRESETS
from service.contracts.radius import RadiusOptions
from service.contracts.specs import merge
from service.settings import Settings
from tests.api.support import EXTRACTION, fields_of, import_array, problem_of, submit


def test_a_job_is_answered_with_202_and_its_place(api: TestClient):
    response = submit(api, priority=7, labels={"who": "me", "λ": "μ"})
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert api.get(response.headers["location"]).json() == job
    assert (job["kind"], job["state"], job["priority"]) == ("extraction", "queued", 7)
    assert job["labels"] == {"who": "me", "λ": "μ"}
    assert job["progress"] == {"done": 0, "total": None, "unit": "rows", "rate": None, "eta_s": None, "stage": None}
    assert (job["error"], job["warnings"], job["result"], job["results"]) == (None, [], None, [])
    assert (job["started_at"], job["finished_at"]) == (None, None)


def test_the_stored_spec_has_the_papers_defaults(api: TestClient):
    spec = submit(api).json()["spec"]
    assert spec == EXTRACTION | {
        "preset": None,
        "revision": None,
        "sites": ["blocks.-1.hook_resid_post", "final_norm_out"],
        "chunk_tokens": 256,
        "chunks": 80_000,
        "chunks_per_document": 1,
        "position": "last",
        "seed": 0,
        "dtype": "float32",
        "reuse": True,
        "bos": "none",
        "loss": False,
    }


def test_the_stored_spec_of_an_analysis_has_the_defaults_of_its_radius(api: TestClient):
    spec = submit(api, "analysis").json()["spec"]
    assert spec["radius"] == RadiusOptions().model_dump(mode="json")
    assert spec["radius"]["fractions"] == [0.25, 0.5, 0.75, 1.0]


def test_the_stored_spec_of_a_radius_job_has_the_defaults(api: TestClient):
    set_id = import_array(api, np.eye(4, dtype=np.float32))
    spec = submit(api, "radius", {"activations": set_id}).json()["spec"]
    wanted = RadiusOptions().model_dump(mode="json")
    assert spec == wanted | {"activations": set_id, "preset": None, "reference": None}


def test_a_spec_can_be_submitted_again_as_it_was_stored(api: TestClient):
    spec = submit(api, "analysis", {"preset": "small/f1", "seed": 3}).json()["spec"]
    assert submit(api, "analysis", spec).json()["spec"] == spec


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset.spec.get("corpus") == "python-docs"])
def test_a_preset_is_stored_whole(api: TestClient, settings: Settings, preset: Any):
    demo_model = settings.models_root / DEMO_MODEL
    demo_model.mkdir(parents=True)
    sizes = {"n_layer": 4, "n_embd": 256, "n_head": 4, "n_positions": 128, "vocab_size": 4096}
    (demo_model / "config.json").write_text(json.dumps({"model_type": "gpt2"} | sizes))
    spec = submit(api, preset.kind, {"preset": preset.id}).json()["spec"]
    assert merge(spec, preset.spec) == spec
    assert spec["preset"] == preset.id


def test_the_model_of_the_demo_is_named_as_missing_at_once(api: TestClient):
    problem = problem_of(submit(api, "analysis", {"preset": "smoke/descent"}), 422)
    assert fields_of(problem) == ["spec.model"]
    assert "`radius demo`" in problem["detail"]


@pytest.mark.parametrize(
    ("given", "field", "right"),
    [
        ({"chunk_token": 3}, "spec.chunk_token", "chunk_tokens"),
        ({"radius": {"fraction": [1]}}, "spec.radius.fraction", "fractions"),
        ({"energy": {"layer": "each"}}, "spec.energy.layer", "layers"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_right_one(
    api: TestClient, given: dict[str, Any], field: str, right: str
):
    problem = problem_of(submit(api, "analysis", EXTRACTION | given), 422)
    assert problem["errors"] == [{"field": field, "message": f"is not a field; did you mean {right}?"}]


def test_given_values_lie_over_the_presets(api: TestClient):
    given = {"preset": "paper/f1", "corpus": "python-docs", "sites": ["final_norm_out"], "radius": {"k": 3}}
    spec = submit(api, "analysis", given).json()["spec"]
    assert (spec["corpus"], spec["sites"]) == ("python-docs", ["final_norm_out"])
    assert spec["model"] == "openai-community/gpt2-medium"
    assert spec["radius"]["k"] == 3
    assert spec["radius"]["fractions"] == [0.25, 0.5, 0.75, 1.0]


def test_a_given_list_replaces_the_presets(api: TestClient):
    given = {"preset": "paper/f1", "corpus": "python-docs", "radius": {"fractions": [0.1], "exclude": "same_document"}}
    radius = submit(api, "analysis", given).json()["spec"]["radius"]
    assert (radius["fractions"], radius["exclude"]) == ([0.1], "same_document")


def test_a_preset_is_not_changed_by_what_was_laid_over_it(api: TestClient):
    before = api.get("/v1/presets").json()
    submit(api, "analysis", {"preset": "paper/f1", "corpus": "python-docs", "radius": {"fractions": [0.1]}})
    assert api.get("/v1/presets").json() == before


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown preset": ("analysis", {"preset": "paper/f9"}, "spec.preset"),
    "preset of another kind": ("extraction", {"preset": "small/f1"}, "spec.preset"),
    "unknown corpus": ("extraction", {"corpus": "no-such-corpus"}, "spec.corpus"),
    "corpus of the preset not registered": ("analysis", {"preset": "paper/f1", "corpus": "openwebtext"}, "spec.corpus"),
    "unknown activations": ("radius", {"activations": "act-0"}, "spec.activations"),
    "a job for activations": ("radius", {"activations": "../job-0"}, "spec.activations"),
    "site not in the grammar": ("extraction", {"sites": ["blocks.0.mlp"]}, "spec.sites.0"),
    "site with space": ("extraction", {"sites": ["final_norm_out", " final_norm_out"]}, "spec.sites.1"),
    "site twice": ("extraction", {"sites": ["final_norm_out", "final_norm_out"]}, "spec.sites"),
    "no site": ("extraction", {"sites": []}, "spec.sites"),
    "position at the chunk's end": ("extraction", {"chunk_tokens": 8, "position": 8}, "spec.position"),
    "position beyond the default chunk": ("extraction", {"position": 256}, "spec.position"),
    "model above": ("extraction", {"model": "../gpt2"}, "spec.model"),
    "model above, within": ("extraction", {"model": "a/../../gpt2"}, "spec.model"),
    "model absolute": ("extraction", {"model": "/etc"}, "spec.model"),
    "empty model": ("extraction", {"model": ""}, "spec.model"),
    "no chunks": ("extraction", {"chunks": 0}, "spec.chunks"),
    "negative seed": ("extraction", {"seed": -1}, "spec.seed"),
    "seed of 64 bits": ("extraction", {"seed": 2**63}, "spec.seed"),
    "float64": ("extraction", {"dtype": "float64"}, "spec.dtype"),
    "fraction 0": ("analysis", {"radius": {"fractions": [0, 1]}}, "spec.radius.fractions.0"),
    "fraction above 1": ("analysis", {"radius": {"fractions": [0.5, 1.5]}}, "spec.radius.fractions.1"),
    "fractions that fall": ("analysis", {"radius": {"fractions": [1.0, 0.5]}}, "spec.radius.fractions"),
    "fraction twice": ("analysis", {"radius": {"fractions": [0.5, 0.5]}}, "spec.radius.fractions"),
    "no fraction": ("analysis", {"radius": {"fractions": []}}, "spec.radius.fractions"),
    "k 0": ("analysis", {"radius": {"k": 0}}, "spec.radius.k"),
    "β 0": ("analysis", {"energy": {"beta": [0]}}, "spec.energy.beta.0"),
    "layers unknown": ("analysis", {"energy": {"layers": "all"}}, "spec.energy.layers"),
    "no set of energies": ("energy", {}, "spec"),
    "a set and a built-in": ("energy", {"activations": ["act-0"], "builtin": "figure1"}, "spec"),
    "queries of the set": ("energy", {"activations": ["act-0"], "queries": "act-0"}, "spec"),
    "unknown set of energies": ("energy", {"activations": ["act-0"]}, "spec.activations"),
    "set twice": ("energy", {"activations": ["act-0", "act-0"]}, "spec.activations"),
    "β twice": ("energy", {"activations": ["act-0"], "beta": [1.0, 1.0]}, "spec.beta"),
    "β of nine": ("energy", {"activations": ["act-0"], "beta": [0.1 * (at + 1) for at in range(9)]}, "spec.beta"),
    "sample of none": ("energy", {"activations": ["act-0"], "sample": 0}, "spec.sample"),
}


@pytest.mark.parametrize(("kind", "spec", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_spec_is_refused_with_its_field(refusing: TestClient, kind: str, spec: dict[str, Any], field: str):
    spec = spec if kind in ("radius", "energy") else EXTRACTION | spec
    problem = problem_of(submit(refusing, kind, spec), 422, "invalid_input")
    assert fields_of(problem) == [field]


def test_all_missing_fields_are_named(refusing: TestClient):
    problem = problem_of(submit(refusing, "extraction", {}), 422, "invalid_input")
    assert fields_of(problem) == ["spec.model", "spec.corpus"]


@pytest.mark.parametrize("position", ["first", -1, None, 1.5])
def test_a_wrong_position_is_named_without_our_types(refusing: TestClient, position: object):
    problem = problem_of(submit(refusing, spec=EXTRACTION | {"position": position}), 422, "invalid_input")
    assert set(fields_of(problem)) == {"spec.position"}


UNAVAILABLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "faiss in another set": ("radius", {"engine": "faiss-flat", "reference": "act-1"}, "spec.engine"),
    "radii in another set": ("radius", {"radii": [1.0], "reference": "act-1"}, "spec.radii"),
}


@pytest.mark.parametrize(("kind", "spec", "field"), UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_options_that_are_to_come_are_not_available(refusing: TestClient, kind: str, spec: dict[str, Any], field: str):
    base = {"activations": "act-0"} if kind == "radius" else EXTRACTION
    problem = problem_of(submit(refusing, kind, base | spec), 422, "not_available")
    assert fields_of(problem) == [field]


BAD_RADIUS_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no radii": ({"radii": []}, "spec.radii"),
    "a negative radius": ({"radii": [1.0, -1.0]}, "spec.radii.1"),
    "too many radii": ({"radii": [1.0] * 257}, "spec.radii"),
    "an engine that is none": ({"engine": "faiss-lsh"}, "spec.engine"),
    "more neighbours than are kept": ({"k": 65}, "spec.k"),
}


@pytest.mark.parametrize(("options", "field"), BAD_RADIUS_OPTIONS.values(), ids=BAD_RADIUS_OPTIONS)
def test_wrong_options_of_a_radius_job_are_named(refusing: TestClient, options: dict[str, Any], field: str):
    problem = problem_of(submit(refusing, "radius", {"activations": "act-0"} | options), 422, "invalid_input")
    assert fields_of(problem) == [field]
