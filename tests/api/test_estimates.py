"""`POST /v1/jobs/estimate`, and the refusal of jobs that cannot fit, with workers that are only said to live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog import calibrations, corpora, jobs, workers
from service.catalog.engine import Catalog
from service.contracts.corpora import CorpusCounts
from service.contracts.estimates import Device
from service.settings import Settings
from tests.api.support import client_of, import_array, problem_of, submit
from tests.estimates.test_pricing import SPEEDS

GIB = 2**30
MEDIUM = {
    "model": "openai-community/gpt2-medium",
    "corpus": "python-docs",
    "chunks": 1000,
    "chunks_per_document": "all",
}
ANALYSIS = MEDIUM | {"chunk_tokens": 64}
KINDS = [
    ("extraction", MEDIUM),
    ("analysis", ANALYSIS | {"energy": {}}),
    ("training", {"preset": "small/f2"}),
    ("training", {"preset": "small/f3-radius"}),
    ("sweep", {"preset": "small/table3"}),
    ("sweep", {"preset": "paper/f2-seeds"}),
    ("energy", {"preset": "paper/figure1"}),
]


def ask(client: TestClient, kind: str, spec: dict[str, Any]) -> Any:
    response = client.post("/v1/jobs/estimate", json={"kind": kind, "spec": spec})
    assert response.status_code == 200, response.text
    return response.json()


def live(catalog: Catalog, *, memory_bytes: int = 64 * GIB, name: str = "compute-one", speeds: bool = True) -> None:
    """A compute worker that was just seen, on a device that was measured."""
    device = Device(device="cpu", name="x", memory_bytes=memory_bytes, fingerprint="same")
    with catalog.begin() as connection:
        workers.record_device(connection, name, device)
        if speeds:
            calibrations.record(connection, "same", SPEEDS)


def count(catalog: Catalog) -> int:
    """Jobs that are stored."""
    with catalog.read() as connection:
        return len(jobs.page(connection, 100, None)[0])


@pytest.fixture
def counted(catalog: Catalog) -> Catalog:
    """The built-in corpus, with the size of a large one."""
    with catalog.begin() as connection:
        corpora.register_builtins(connection)
        large = CorpusCounts(documents=10**6, bytes=10**10, sha256="0" * 64)
        corpora.record_counts(connection, "python-docs", large)
    return catalog


def test_without_a_worker_bytes_are_known_and_times_are_not(api: TestClient):
    found = ask(api, "extraction", MEDIUM)
    assert found["seconds"] is None
    assert found["free_memory_bytes"] is None
    assert found["written_bytes"] > 2 * 1000 * 1024 * 4
    assert found["fits"]
    assert any("no live compute worker" in note for note in found["notes"])


@pytest.mark.parametrize(("kind", "spec"), KINDS)
def test_every_kind_of_job_has_an_estimate(api: TestClient, counted: Catalog, kind: str, spec: dict[str, Any]):
    live(counted)
    found = ask(api, kind, spec)
    assert found["seconds"] > 0
    assert found["segments"] == sum(stage["segments"] for stage in found["stages"]) > 0
    assert found["seconds"] == pytest.approx(sum(stage["seconds"] for stage in found["stages"]))
    assert found["memory_bytes"] == max(stage["memory_bytes"] for stage in found["stages"])
    assert count(counted) == 0


def test_rows_of_an_extraction_are_counted_in_bytes(api: TestClient, counted: Catalog):
    live(counted)
    found = ask(api, "extraction", MEDIUM | {"chunks": 80_000})
    (written,) = [stage["written_bytes"] for stage in found["stages"] if stage["stage"] == "extract"]
    assert written == 2 * 80_000 * 1024 * 4
    assert found["rows"] == 80_000
    half = ask(api, "extraction", MEDIUM | {"chunks": 40_000})
    assert half["seconds"] == pytest.approx(found["seconds"] / 2, rel=0.2)


def test_more_workers_shorten_what_can_be_shared(api: TestClient, counted: Catalog):
    live(counted)
    alone = ask(api, "extraction", MEDIUM | {"chunks": 80_000})
    live(counted, name="compute-two")
    assert ask(api, "extraction", MEDIUM | {"chunks": 80_000})["seconds"] < 0.6 * alone["seconds"]


def test_a_large_search_is_planned_in_parts(api: TestClient, catalog: Catalog):
    live(catalog)
    small = import_array(api, np.eye(8, dtype=np.float32))
    assert [stage["stage"] for stage in ask(api, "radius", {"activations": small})["stages"]] == ["radius"]
    large = ANALYSIS | {"chunks": 200_000, "radius": {"radii": [1.0]}}
    with catalog.begin() as connection:
        corpora.register_builtins(connection)  # not counted yet
    stages = [stage["stage"] for stage in ask(api, "analysis", large)["stages"]]
    assert stages[3:] == 2 * ["split", "null", "search", "count", "settle", "radius"]


def test_a_folder_tells_the_sizes_of_its_model(api: TestClient, settings: Settings, counted: Catalog):
    live(counted)
    folder = settings.models_root / "mine"
    folder.mkdir(parents=True)
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 48, "n_positions": 64, "vocab_size": 100}
    (folder / "config.json").write_text(json.dumps(config))
    found = ask(api, "extraction", MEDIUM | {"model": "mine", "chunk_tokens": 32})
    (written,) = [stage["written_bytes"] for stage in found["stages"] if stage["stage"] == "extract"]
    assert written == 2 * 1000 * 48 * 4
    unknown = ask(api, "extraction", MEDIUM | {"model": "somebody/else"})
    assert unknown["seconds"] is None
    assert any("sizes are not known" in note for note in unknown["notes"])


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("radius", {"activations": "act-none"}, "spec.activations"),
        ("extraction", MEDIUM | {"corpus": "none"}, "spec.corpus"),
        ("training", {"preset": "none"}, "spec.preset"),
        ("extraction", MEDIUM | {"model": "run:run-00"}, "spec.model"),
        ("extraction", MEDIUM | {"chunk_tokens": 4, "position": 9}, "spec.position"),
    ],
)
def test_what_would_be_refused_is_refused(api: TestClient, kind: str, spec: dict[str, Any], field: str):
    response = api.post("/v1/jobs/estimate", json={"kind": kind, "spec": spec})
    problem = problem_of(response, range(400, 500))
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem == problem_of(submit(api, kind, spec), range(400, 500))


def test_a_job_for_which_the_disk_is_too_small_is_refused_with_the_numbers(settings: Settings, counted: Catalog):
    with client_of(settings.model_copy(update={"disk_reserve_bytes": 2**62})) as client:
        found = ask(client, "extraction", MEDIUM)
        assert found["fits"] is False
        assert found["free_disk_bytes"] == 0
        problem = problem_of(submit(client, spec=MEDIUM), 422, "does_not_fit")
    assert problem["detail"] == found["reason"]
    assert "MiB; 0 B are free on the data directory's disk beyond the reserve of 4096 PiB" in problem["detail"]
    assert count(counted) == 0


def test_a_job_for_which_no_worker_has_the_memory_is_refused(api: TestClient, counted: Catalog):
    live(counted, memory_bytes=GIB)
    problem = problem_of(submit(api, spec=MEDIUM), 422, "does_not_fit")
    assert "the largest live worker has 1 GiB" in problem["detail"]
    live(counted, memory_bytes=64 * GIB, name="compute-large")  # one that is large enough is enough
    assert submit(api, spec=MEDIUM).status_code == 202


def test_a_corpus_that_nobody_has_counted_refuses_nothing(settings: Settings):
    with client_of(settings.model_copy(update={"disk_reserve_bytes": 2**62})) as client:
        assert ask(client, "extraction", MEDIUM)["fits"] is True
        assert submit(client, spec=MEDIUM).status_code == 202


def test_a_worker_that_is_away_counts_for_nothing(settings: Settings, counted: Catalog):
    live(counted, memory_bytes=GIB)
    with client_of(settings.model_copy(update={"lease_s": 1e-9})) as client:
        found = ask(client, "extraction", MEDIUM)
    assert (found["device"], found["workers"]) == (None, 0)


def test_a_device_that_was_never_measured_is_asked_to_be(settings: Settings, counted: Catalog, tmp_path: Path):
    live(counted, speeds=False)
    with client_of(settings.model_copy(update={"calibration_wait_s": 0.3})) as client:
        found = ask(client, "extraction", MEDIUM)
    assert found["calibration"] is None
    assert any("being measured" in note for note in found["notes"])


def test_the_memory_of_tokenising_grows_with_the_longest_document(api: TestClient, counted: Catalog):
    def sample_bytes(longest: int) -> int:
        counts = CorpusCounts(documents=10, bytes=10**9, sha256="0" * 64, longest_bytes=longest)
        with counted.begin() as connection:
            corpora.record_counts(connection, "python-docs", counts)
        return next(s for s in ask(api, "extraction", MEDIUM)["stages"] if s["stage"] == "sample")["memory_bytes"]

    small, large = sample_bytes(10**6), sample_bytes(200 * 10**6)
    assert 8 * 199 * 10**6 < large - small < 16 * 199 * 10**6
    live(counted, memory_bytes=2 * GIB)
    assert not ask(api, "extraction", MEDIUM)["fits"]
    problem_of(submit(api, "extraction", MEDIUM), 422, "does_not_fit")


def test_the_estimate_says_what_limits_the_chunks(api: TestClient, counted: Catalog):
    with counted.begin() as connection:
        corpora.record_counts(connection, "python-docs", CorpusCounts(documents=2, bytes=10**6, sha256="0" * 64))
    notes = ask(api, "extraction", MEDIUM | {"chunks_per_document": 1})["notes"]
    assert any(
        "2 documents give 2 chunks" in note and 'chunks_per_document: "all" gives about 976' in note for note in notes
    )


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/estimate"])
def test_chunks_beyond_the_models_context_are_refused_at_once(api: TestClient, settings: Settings, path: str):
    folder = settings.models_root / "tiny"
    folder.mkdir()
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64, "vocab_size": 512}
    (folder / "config.json").write_text(json.dumps(config))
    for model, longest in (("tiny", 64), ("openai-community/gpt2", 1024)):
        for tokens, status in ((longest, {200, 202}), (longest + 1, {422})):
            body = {"kind": "extraction", "spec": MEDIUM | {"model": model, "chunk_tokens": tokens}}
            response = api.post(path, json=body)
            assert response.status_code in status, response.text
        problem = problem_of(response, 422, "invalid_input")
        assert problem["errors"] == [
            {"field": "spec.chunk_tokens", "message": f"the model's context is {longest} tokens"}
        ]


def test_two_names_of_one_site_are_one_site(api: TestClient, counted: Catalog):
    def written(*sites: str) -> int:
        return ask(api, "analysis", MEDIUM | {"sites": list(sites)})["written_bytes"]

    one = written("blocks.-1.hook_resid_post")
    assert written("blocks.-1.hook_resid_post", "blocks.23.hook_resid_post") == one
    assert written("blocks.-1.hook_resid_post", "blocks.22.hook_resid_post") > one


def test_a_job_of_too_many_hours_is_refused_unless_it_gives_its_own_limit(settings: Settings, counted: Catalog):
    spec = MEDIUM | {"chunks": 80_000}
    with client_of(settings.model_copy(update={"max_job_hours": 0.001, "calibration_wait_s": 0})) as client:
        live(counted, speeds=False)
        assert ask(client, "extraction", spec)["fits"]  # its time is not known
        live(counted)
        found = ask(client, "extraction", spec)
        assert found["seconds"] > 3.6
        assert not found["fits"]
        assert "max_job_hours" in found["reason"]
        problem = problem_of(submit(client, spec=spec), 422, "does_not_fit")
        assert problem["detail"] == found["reason"]
        assert count(counted) == 0
        assert submit(client, spec=spec, timeout_s=1e6).status_code == 202
    with client_of(settings) as client:
        assert ask(client, "extraction", spec)["fits"]


@pytest.mark.parametrize(
    ("key", "value"), [("n_layer", 10**6), ("n_embd", 2**20), ("n_positions", 2**30), ("vocab_size", 10**9)]
)
def test_a_model_of_implausible_sizes_is_refused_by_name_and_limit(
    api: TestClient, settings: Settings, counted: Catalog, key: str, value: int
):
    folder = settings.models_root / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", key: value}))
    shown = next(model for model in api.get("/v1/models").json()["data"] if model["id"] == "mine")
    assert not shown["supported"]
    assert f"{key} must be a whole number from 1 to" in shown["reason"]
    refused = submit(api, spec=MEDIUM | {"model": "mine"})
    assert f"{key} must be a whole number from 1 to" in problem_of(refused, 422, "unsupported_model")["detail"]
    assert count(counted) == 0
