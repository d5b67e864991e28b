"""Every operation of the OpenAPI document by everyone who may send it: without a key, with a wrong, an expired and a
revoked one, with a key that may only read, and with one of another project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from tests.api.openapi import committed_operations
from tests.api.projects import Projects
from tests.api.support import EXTRACTION, npy_bytes, problem_of

Kind = Literal["open", "common", "listed", "made", "owned"]
UNKNOWN = ("no key", "wrong key", "expired", "revoked")
REFUSED = {401, 403, 404}
IMAGE = {"ending": "png"}
POINT = {"patterns": [[0.0, 1.0], [1.0, 0.0]], "queries": [[0.0, 0.0]], "beta": 1.0}


@dataclass(frozen=True)
class Entry:
    """How an operation is called rightly.

    Attributes:
        kind: it needs no key; it is the same for all projects; it lists, makes or names objects of a project.
        path: parameters of its path, beside those that are objects of ours.
        scope: the least that it needs.
        request: query, body or files.
    """

    kind: Kind
    path: dict[str, str] = field(default_factory=dict)
    scope: str = "read"
    request: dict[str, Any] = field(default_factory=dict)


def json_of(body: dict[str, Any]) -> dict[str, Any]:
    return {"json": body}


JOB = json_of({"kind": "extraction", "spec": EXTRACTION})
RADIUS, ENERGY = {"report_id": "radius"}, {"report_id": "energy"}  # names of objects
ENTRIES: dict[str, Entry] = {
    "get_health": Entry("open"),
    "get_readiness": Entry("open"),
    "list_presets": Entry("common"),
    "list_models": Entry("common"),
    "list_sites": Entry("common", request={"params": {"model": "openai-community/gpt2"}}),
    "get_limits": Entry("common"),
    "list_claims": Entry("common"),
    "get_metrics": Entry("common", scope="admin"),
    "list_workers": Entry("common", scope="admin"),
    "list_activations": Entry("listed"),
    "import_activations": Entry("made", scope="write", request={"files": {"file": ("x", npy_bytes(np.eye(3)))}}),
    "get_activations": Entry("owned"),
    "delete_activations": Entry("owned", scope="write"),
    "get_file": Entry("owned", {"name": "manifest.json"}),
    "query_activations": Entry("owned", request=json_of({"vectors": [[0.0, 0.0, 0.0]]})),
    "list_rows": Entry("owned"),
    "list_corpora": Entry("listed"),
    "create_corpus": Entry("made", scope="write", request={"files": {"file": ("new.txt", b"new text")}}),
    "get_corpus": Entry("owned"),
    "delete_corpus": Entry("owned", scope="write"),
    "list_energy_reports": Entry("listed"),
    "evaluate_energy": Entry("common", request=json_of(POINT)),
    "get_energy_report": Entry("owned", ENERGY),
    "get_energy_figure": Entry("owned", ENERGY | IMAGE),
    "get_energy_histogram": Entry("owned", ENERGY),
    "list_jobs": Entry("listed"),
    "create_job": Entry("made", scope="write", request=JOB),
    "estimate_job": Entry("common", request=JOB),
    "get_job": Entry("owned"),
    "delete_job": Entry("owned", scope="write"),
    "cancel_job": Entry("owned", scope="write"),
    "retry_job": Entry("owned", scope="write"),
    "list_job_events": Entry("owned"),
    "list_profiles": Entry("listed"),
    "get_profile": Entry("owned"),
    "get_profile_figure": Entry("owned", IMAGE),
    "list_radius_reports": Entry("listed"),
    "get_radius_report": Entry("owned", RADIUS),
    "get_radius_figure": Entry("owned", RADIUS | IMAGE),
    "get_radius_histogram": Entry("owned", RADIUS),
    "get_radius_quantiles": Entry("owned", RADIUS),
    "list_radius_neighbors": Entry("owned", RADIUS),
    "get_radius_neighbors_file": Entry("owned", RADIUS | {"ending": "npz"}),
    "list_reproductions": Entry("listed"),
    "get_reproduction": Entry("owned"),
    "get_reproduction_report": Entry("owned"),
    "get_reproduction_document": Entry("owned", {"ending": "html"}),
    "get_reproduction_figure": Entry("owned", {"claim": "P1"}),
    "list_sweeps": Entry("listed"),
    "get_sweep": Entry("owned"),
    "get_sweep_figure": Entry("owned", IMAGE),
    "list_training_runs": Entry("listed"),
    "get_training_run": Entry("owned"),
    "get_training_figure": Entry("owned", IMAGE),
    "list_training_metrics": Entry("owned"),
    "get_training_metrics_csv": Entry("owned"),
    "get_training_metrics_parquet": Entry("owned"),
}
_THEORY: dict[str, dict[str, Any]] = {
    "balance": {},
    "balls": {"n": 4, "r": 1},
    "figure1": {},
    "loss": {"loss": 2},
    "loss_readings": {"n": 4, "d": 9, "r": 1},
    "partition": {"n": 4, "d": 9, "r": 1},
    "radius": {"n": 4, "d": 9},
    "scaling_laws": {"N": 1e6, "D": 1e7},
    "table_1": {},
    "table_2": {},
    "table_3": {},
    "transformer_size": {"model": "gpt2"},
    "unit_partition": {"n": 4, "d": 9},
}
ENTRIES |= {f"get_theory_{name}": Entry("common", request={"params": query}) for name, query in _THEORY.items()}
ENTRIES["get_theory_figure1_drawn"] = Entry("common", IMAGE)
OPERATIONS = {operation["operationId"]: (method, path) for method, path, operation in committed_operations()}


def send(projects: Projects, name: str, sender: str) -> Any:
    """Call an operation for an object of ours, where it names one."""
    method, path = OPERATIONS[name]
    entry, ours = ENTRIES[name], projects.objects
    given = {parameter: ours.get(value, value) for parameter, value in entry.path.items()}
    return projects.send(sender, method.upper(), path.format_map(ours | given), **entry.request)


def test_every_operation_has_an_entry():
    assert OPERATIONS.keys() == ENTRIES.keys(), "say of a new route who may call it"


@pytest.mark.parametrize("name", ENTRIES)
def test_everyone_gets_of_an_operation_what_is_theirs(projects: Projects, name: str):
    entry = ENTRIES[name]
    for sender in UNKNOWN:
        answer = send(projects, name, sender)
        assert (answer.status_code == 401) is (entry.kind != "open"), (sender, answer.status_code)
        assert (answer.headers.get("www-authenticate") == "Bearer") is (entry.kind != "open")
    if entry.scope == "admin":
        for sender in ("reader", "stranger", "owner"):
            problem_of(send(projects, name, sender), 403, "forbidden")
        assert send(projects, name, "administrator").is_success
        return
    answer = send(projects, name, "reader")
    if entry.scope == "read":
        assert answer.status_code not in REFUSED, answer.text
    else:
        problem_of(answer, 403, "forbidden")
    answer = send(projects, name, "stranger")
    if entry.kind == "owned":
        problem_of(answer, 404, "not_found")
    else:
        assert answer.status_code not in REFUSED, answer.text
        if entry.kind == "listed":
            assert not [found for found in projects.objects.values() if found in answer.text]
    answer = send(projects, name, "owner")
    assert answer.status_code not in REFUSED, answer.text
    if answer.status_code >= 500:  # the files of some products, and the worker that answers queries, are left out
        assert answer.json()["code"] in ("corrupt_artifact", "unavailable"), answer.text
    if entry.kind == "listed":
        assert [found for found in projects.objects.values() if found in answer.text]


def test_the_sites_of_a_kept_model_are_those_of_its_projects_model(projects: Projects):
    asked = {"params": {"model": f"run:{projects.objects['run_id']}"}}
    problem_of(projects.send("stranger", "GET", "/v1/sites", **asked), 404, "not_found")
    assert projects.send("owner", "GET", "/v1/sites", **asked).status_code == 200


def _other(digits: str) -> str:
    return "0000" if digits != "0000" else "1111"


@pytest.mark.parametrize("sender", ["reader", "owner", "administrator", "stranger"])
def test_an_object_that_is_nowhere_is_answered_like_one_of_another_project(projects: Projects, sender: str):
    for name, entry in ENTRIES.items():
        if entry.kind != "owned" or (sender == "reader" and entry.scope != "read"):
            continue
        method, path = OPERATIONS[name]
        nowhere = {key: value[:-4] + _other(value[-4:]) for key, value in projects.objects.items()}
        given = {parameter: nowhere.get(value, value) for parameter, value in entry.path.items()}
        missing = projects.send(sender, method.upper(), path.format_map(nowhere | given), **entry.request)
        problem_of(missing, 404, "not_found")
        if sender == "stranger":
            assert missing.json() == send(projects, name, sender).json(), name


def test_the_document_says_which_operations_need_a_key(projects: Projects):
    document = projects.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = ENTRIES[operation["operationId"]].kind == "open"
            assert operation["security"] == ([] if is_open else [{"key": []}]), path


def test_every_response_says_what_a_browser_may_do_with_it(projects: Projects):
    ours = projects.objects
    for path in ("/v1/jobs", "/v1/no/such/route", "/healthz", f"/v1/training/{ours['run_id']}/figure.png"):
        for sender in ("owner", "no key"):
            answer = projects.send(sender, "GET", path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-store"
    figure = projects.send("owner", "GET", f"/v1/radius/{ours['radius']}/figure.png")
    assert figure.headers["cache-control"] == "private, no-cache"
