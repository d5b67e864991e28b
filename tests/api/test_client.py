"""The Python client against a server on loopback, over real HTTP."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

from service.catalog import jobs
from service.client import AsyncClient, Client, Handle, JobFailed
from service.contracts.jobs import Job
from service.errors import Conflict, InvalidInput, NonFiniteData, NotAvailable, NotFound, RadiusError, Unavailable
from tests.api.products import nearest_distances
from tests.api.serving import Server
from tests.api.support import CANARY, EXTRACTION

SPECIAL = np.array([[0.0, -0.0], [5e-324, -1.7976931348623157e100], [np.pi, 1 / 3]])


def test_a_job_is_submitted_and_read(server: Server):
    with Client(server.url) as client:
        handle = client.submit("extraction", EXTRACTION, priority=7, labels={"who": "me"})
        job = client.job(handle.id)
    assert (job.kind, job.state, job.priority, job.labels) == ("extraction", "queued", 7, {"who": "me"})
    assert isinstance(job, Job)


def test_all_jobs_are_listed_page_by_page(server: Server):
    with Client(server.url) as client:
        ids = [client.submit("extraction", EXTRACTION).id for _ in range(5)]
        found = [job.id for job in client.jobs(limit=2)]
    assert found[:5] == ids[::-1]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_array_comes_back_bit_by_bit(server: Server, dtype: type):
    vectors = np.random.default_rng(1).normal(size=(100, 7)).astype(dtype)
    with Client(server.url) as client:
        summary = client.import_vectors(vectors, "mine")
        found = client.vectors(summary.id)
    assert (summary.name, summary.n, summary.d_model, summary.dtype) == ("mine", 100, 7, np.dtype(dtype).name)
    assert found.dtype == dtype
    assert found.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("vectors", [SPECIAL, np.asfortranarray(SPECIAL), SPECIAL[::-1], SPECIAL[:, :1]])
def test_special_values_and_layouts_come_back_bit_by_bit(server: Server, vectors: np.ndarray):
    with Client(server.url) as client:
        found = client.vectors(client.import_vectors(vectors).id)
    assert found.tobytes() == np.ascontiguousarray(vectors).tobytes()


def test_a_set_of_many_shards_comes_back_in_order(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.artifacts.vector_files.SHARD_BYTES", 480)
    vectors = np.arange(300, dtype=np.float32).reshape(100, 3)
    with Client(server.url) as client:
        summary = client.import_vectors(vectors)
        shards = [entry for entry in client.activations(summary.id).manifest["files"] if "shard" in entry["name"]]
        assert len(shards) == 3
        assert np.array_equal(client.vectors(summary.id), vectors)


def test_rows_are_imported_with_ids_and_labels(server: Server, tmp_path: Path):
    (tmp_path / "labels.txt").write_text("cat\ndog\nß\n", encoding="utf-8")
    with Client(server.url) as client:
        made = client.import_vectors(np.eye(3), "named", ids=["x", "y", "z"], labels=tmp_path / "labels.txt")
        assert "names.safetensors" in {entry["name"] for entry in client.activations(made.id).manifest["files"]}
        with pytest.raises(InvalidInput, match="lines 1 and 3 are the same id"):
            client.import_vectors(np.eye(3), ids=["x", "y", "x"])
        with pytest.raises(InvalidInput, match="the name of row 1 has a line break"):
            client.import_vectors(np.eye(3), ids=["x", "y\nz", "z"])


def test_a_file_is_imported(server: Server, tmp_path: Path):
    np.save(tmp_path / "a.npy", SPECIAL)
    with Client(server.url) as client:
        assert client.import_vectors(tmp_path / "a.npy").n == 3


def test_corpora_are_registered_and_uploaded(server: Server, tmp_path: Path):
    (tmp_path / "a.txt").write_text("text")
    with Client(server.url) as client:
        registered = client.register_corpus(builtin="python-docs", documents="paragraphs")
        uploaded = client.upload_corpus(tmp_path / "a.txt", name="uploaded")
    assert (registered.state, registered.source.documents) == ("scanning", "paragraphs")
    assert (uploaded.name, uploaded.source.upload) == ("uploaded", f"{uploaded.id}.txt")


def test_a_report_is_read_with_its_neighbours_and_figure(server: Server):
    with Client(server.url) as client:
        report = client.radius(server.published.report)
        pairs = client.neighbors(report.id, order="farthest", limit=3)
        figure = client.figure(report.id, "svg")
        found = client.vectors(report.activations)
    whole = report.fractions[-1].nn_distance
    assert whole is not None
    assert whole.mean == pytest.approx(nearest_distances(found).mean(), rel=1e-9)
    assert [pair.distance for pair in pairs] == sorted((pair.distance for pair in pairs), reverse=True)
    assert (len(pairs), pairs[0].a.text is not None) == (3, True)
    assert b"<svg" in figure


def test_errors_are_those_of_the_tree(server: Server):
    bad = SPECIAL.copy()
    bad[1, 1] = np.nan
    with Client(server.url) as client:
        with pytest.raises(NotFound, match="no such job"):
            client.job("job-0")
        with pytest.raises(NotAvailable, match="exact engine"):
            client.submit("radius", {"activations": "act-1", "reference": "act-2", "engine": "faiss-flat"})
        with pytest.raises(Conflict, match="name"):
            client.register_corpus(builtin="python-docs", name="python-docs")
        with pytest.raises(NonFiniteData, match="row 1"):
            client.import_vectors(bad)
        with pytest.raises(InvalidInput, match=r"spec\.chunks: .*greater than"):
            client.submit("extraction", EXTRACTION | {"chunks": 0})


def test_an_error_keeps_its_field(server: Server):
    with Client(server.url) as client, pytest.raises(InvalidInput) as caught:
        client.submit("extraction", EXTRACTION | {"corpus": "no-such-corpus"})
    assert caught.value.field == "spec.corpus"


def test_a_server_that_is_not_there_is_unavailable(unused_url: str):
    with Client(unused_url) as client:
        with pytest.raises(Unavailable, match="no service answers at"):
            client.job("job-0")
        with pytest.raises(Unavailable):
            client.wait_until_ready(timeout_s=0.2)


def test_an_answer_that_is_no_problem_is_an_error_too(server: Server):
    """Port and path are right, the service is another one."""
    with Client(f"{server.url}/docs/of/another") as client, pytest.raises(RadiusError):
        client.job(CANARY)


def test_a_server_that_is_there_is_ready(server: Server):
    with Client(server.url) as client:
        client.wait_until_ready(timeout_s=5)


def test_waiting_ends_after_its_time_and_leaves_the_job(server: Server):
    seen: list[Job] = []
    with Client(server.url) as client:
        handle = client.submit("extraction", EXTRACTION)
        with pytest.raises(TimeoutError, match="queued"):
            handle.wait(seen.append, timeout_s=0.3)
        assert handle.get().state == "queued"
    assert {job.state for job in seen} == {"queued"}
    assert len(seen) >= 2


def test_waiting_gives_the_products_of_a_job_that_succeeded(server: Server):
    with Client(server.url) as client:
        finished = Handle(client, server.published.job).wait(timeout_s=5)
    assert finished.reports == [server.published.report]
    assert finished.activations == [server.published.activations]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_waiting_raises_what_ended_a_job(server: Server, state: str):
    with Client(server.url) as client:
        handle = client.submit("extraction", EXTRACTION)
        error = {"code": "invalid_input", "detail": "the model is away"} if state == "failed" else None
        with server.catalog.begin() as connection:
            if state == "cancelled":
                jobs.request_cancel(connection, handle.id)
            assert jobs.finish(connection, handle.id, state, error)
        with pytest.raises(JobFailed, match="the model is away" if error else "cancelled"):
            handle.wait()


def test_both_clients_have_the_same_calls():
    def public(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)
