"""What the holder of a `write` key of another project tries to reach, knowing every id and name of ours.

Each attempt is answered as it would be if our objects did not exist: word for word, as far as it names none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.ids import new_id
from tests.api.projects import SECRET, Projects
from tests.api.support import EXTRACTION, npy_bytes, problem_of

NOUNS = ("activations", "corpora", "energy", "jobs", "profiles", "radius", "sweeps", "training")


def specs(set_id: str, run_id: str, corpus: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A job for every field of a spec that names an object."""
    mine = {"model": "openai-community/gpt2", "corpus": "python-docs", "chunk_tokens": 8}
    yield "radius", {"activations": set_id}
    yield "energy", {"activations": [set_id]}
    for model in (f"run:{run_id}", f"run:{run_id}@10"):
        yield "extraction", mine | {"model": model}
        yield "analysis", mine | {"model": model}
    for kind in ("extraction", "analysis"):
        yield kind, mine | {"corpus": corpus}


def listings(projects: Projects, sender: str) -> dict[str, Any]:
    return {noun: projects.send(sender, "GET", f"/v1/{noun}?limit=200").json() for noun in NOUNS}


def imported(projects: Projects) -> str:
    """A set of the stranger's own."""
    answer = projects.send("stranger", "POST", "/v1/activations", files={"file": ("x", npy_bytes(np.eye(3)))})
    return answer.json()["id"]


@pytest.fixture(autouse=True)
def ours_stays(projects: Projects) -> Iterator[None]:
    """Whatever the stranger tries, what we see of our project is what we saw before."""
    before = listings(projects, "owner")
    yield
    assert listings(projects, "owner") == before


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/estimate"])
def test_specs_name_nothing_of_ours(projects: Projects, path: str):
    ours = projects.objects
    wanted = specs(ours["set_id"], ours["run_id"], ours["corpus_id"])
    nothing = specs(new_id("act") + "00", new_id("run"), "corpus-" + "0" * 26)
    named = specs(ours["set_id"], ours["run_id"], "our-corpus")
    for (kind, spec), (_, absent), (_, by_name) in zip(wanted, nothing, named, strict=True):
        missing = problem_of(projects.send("stranger", "POST", path, json={"kind": kind, "spec": absent}), 422)
        for tried in (spec, by_name):
            answer = projects.send("stranger", "POST", path, json={"kind": kind, "spec": tried})
            assert problem_of(answer, 422) == missing, (kind, tried)
            allowed = projects.send("reader", "POST", "/v1/jobs/estimate", json={"kind": kind, "spec": tried})
            assert allowed.is_success, allowed.text


def test_a_set_of_ours_is_no_reference_and_no_queries_of_theirs(projects: Projects):
    own, ours, absent = imported(projects), projects.objects["set_id"], new_id("act") + "00"
    for kind, field, spec in (
        ("radius", "reference", {"activations": own}),
        ("energy", "queries", {"activations": [own]}),
    ):
        for path in ("/v1/jobs", "/v1/jobs/estimate"):
            found, missing = (
                problem_of(
                    projects.send("stranger", "POST", path, json={"kind": kind, "spec": spec | {field: named}}), 422
                )
                for named in (ours, absent)
            )
            assert found == missing
            assert found["errors"][0]["field"] == f"spec.{field}"


def test_trainings_read_no_corpus_of_ours(projects: Projects):
    data = {"data": {"corpus": "our-corpus", "tokenizer": "bytes"}}
    training, sweep = {"preset": "smoke/f3", **data}, {"preset": "smoke/table3", "training": data}
    for kind, spec in (("training", training), ("sweep", sweep)):
        answers = [
            projects.send(sender, "POST", "/v1/jobs/estimate", json={"kind": kind, "spec": spec}).text
            for sender in ("stranger", "owner")
        ]
        assert "no such corpus" in answers[0], answers[0]
        assert "no such corpus" not in answers[1]


def test_an_idempotency_key_of_ours_is_free_for_them(projects: Projects):
    body, key = {"kind": "extraction", "spec": EXTRACTION}, {"Idempotency-Key": new_id("key")}
    ours = projects.send("owner", "POST", "/v1/jobs", json=body, headers=key)
    theirs = projects.send("stranger", "POST", "/v1/jobs", json=body, headers=key)
    assert ours.status_code == theirs.status_code == 202
    assert ours.json()["id"] != theirs.json()["id"]
    assert projects.send("owner", "POST", "/v1/jobs", json=body, headers=key).json()["id"] == ours.json()["id"]
    other = projects.send("owner", "POST", "/v1/jobs", json=body | {"priority": 3}, headers=key)
    problem_of(other, 409, "conflict")
    problem_of(projects.send("stranger", "GET", f"/v1/jobs/{ours.json()['id']}"), 404)
    projects.send("owner", "POST", f"/v1/jobs/{ours.json()['id']}/cancel")
    assert projects.send("owner", "DELETE", f"/v1/jobs/{ours.json()['id']}").status_code == 204


def test_a_name_of_ours_is_free_for_them_and_means_their_own(projects: Projects):
    ours = projects.objects["corpus_id"]
    for name in ("our-corpus", ours):
        made = projects.send(
            "stranger", "POST", "/v1/corpora", files={"file": ("x.txt", b"of theirs")}, data={"name": name}
        )
        assert made.status_code == 201, made.text
        assert projects.send("stranger", "GET", f"/v1/corpora/{name}").json()["id"] == made.json()["id"] != ours
        assert projects.send("owner", "GET", f"/v1/corpora/{name}").json()["id"] == ours
        assert projects.send("stranger", "DELETE", f"/v1/corpora/{name}").status_code == 204
        problem_of(projects.send("stranger", "DELETE", f"/v1/corpora/{name}"), 404)
    problem_of(projects.send("stranger", "DELETE", "/v1/corpora/python-docs"), 409)
    assert projects.send("stranger", "GET", "/v1/corpora/python-docs").status_code == 200


def test_no_cursor_or_filter_lists_ours(projects: Projects):
    own = imported(projects)
    cursors = [projects.objects["set_id"], projects.objects["sweep_id"], "zzzz", own]
    for noun in NOUNS:
        for after in cursors:
            answer = projects.send("stranger", "GET", f"/v1/{noun}", params={"after": after, "limit": 200})
            assert answer.status_code == 200
            assert not [found for found in projects.objects.values() if found in answer.text], (noun, after)
    by_set = projects.send("stranger", "GET", "/v1/radius", params={"activations": projects.objects["set_id"]})
    assert by_set.json() == {"data": [], "next": None}
    for query in ({"state": "succeeded"}, {"kind": "radius"}, {"kind": "training", "state": "queued"}):
        assert projects.send("stranger", "GET", "/v1/jobs", params=query).json()["data"] == []
        assert query == {} or projects.send("owner", "GET", "/v1/jobs", params=query).json()["data"]


def test_an_event_stream_and_texts_of_ours_are_not_there(projects: Projects):
    ours = projects.objects
    stream = {"headers": {"Accept": "text/event-stream", "Last-Event-ID": "0"}}
    for job in (ours["job_id"], ours["reading_job"]):
        problem_of(projects.send("stranger", "GET", f"/v1/jobs/{job}/events", **stream), 404)
    question = {"json": {"texts": ["text 7"], "k": 3}}
    problem_of(projects.send("stranger", "POST", f"/v1/activations/{ours['set_id']}/query", **question), 404)
    for path in (f"activations/{ours['set_id']}/rows", f"radius/{ours['radius']}/neighbors"):
        assert "text 7" in projects.send("owner", "GET", f"/v1/{path}", params={"limit": 50}).text
        answer = projects.send("stranger", "GET", f"/v1/{path}", params={"limit": 50, "vectors": True})
        problem_of(answer, range(404, 423))
        assert "text 7" not in answer.text


@pytest.mark.parametrize(
    "step", ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..\\", "..%5c", "....//", "%00/../"]
)
def test_no_path_leads_from_their_set_to_ours(projects: Projects, step: str):
    own, ours = imported(projects), projects.objects
    for file in ("manifest.json", "vectors-00000.safetensors"):
        for path in (
            f"/v1/activations/{own}/files/{step}{ours['set_id']}/{file}",
            f"/v1/activations/{own}/files/{step}{step}artifacts/{ours['set_id']}/{file}",
            f"/v1/activations/{own}/{step}{ours['set_id']}/files/{file}",
            f"/v1/radius/{own}{step}{ours['radius']}/figure.png",
        ):
            answer = projects.send("stranger", "GET", path)
            assert answer.status_code in (400, 404, 405, 422), (path, answer.status_code)
            assert ours["set_id"] not in answer.text
            assert SECRET not in answer.text


def test_spellings_of_our_ids_are_not_ours(projects: Projects):
    for name, value in projects.objects.items():
        noun = {"job_id": "jobs", "set_id": "activations", "run_id": "training", "sweep_id": "sweeps"}.get(name)
        for spelt in (value.upper(), value + "%00", value + " ", f"%20{value}", value + "/", f"./{value}", value[:-1]):
            if noun is not None:
                answer = projects.send("stranger", "GET", f"/v1/{noun}/{spelt}")
                assert answer.status_code in (307, 404, 422), (spelt, answer.status_code)
                assert json.dumps(value) not in answer.text


def test_what_they_delete_is_theirs(projects: Projects):
    body = {"kind": "extraction", "spec": EXTRACTION | {"seed": 5}}
    job = projects.send("stranger", "POST", "/v1/jobs", json=body).json()["id"]
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")):
        problem_of(projects.send("owner", method, f"/v1/jobs/{job}{path}"), 404, "not_found")
    assert projects.send("stranger", "POST", f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert projects.send("stranger", "POST", f"/v1/jobs/{job}/retry").json()["state"] == "queued"
    assert projects.send("stranger", "POST", f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    assert projects.send("stranger", "DELETE", f"/v1/jobs/{job}").status_code == 204
