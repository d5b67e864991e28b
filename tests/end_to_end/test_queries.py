"""Questions to an activation set, answered by the real query worker over the real API."""

# One database: the query worker reads files.

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest

from service.client import Finished
from service.errors import Conflict, InvalidInput, NotFound, Unavailable
from service.processes import module_command
from service.supervisor import Supervisor, environment
from service.theory import energy
from tests.end_to_end.conftest import ON_SQLITE, Running

pytestmark = ON_SQLITE
Array = np.ndarray


def final_norm(analysis: Finished) -> str:
    return next(r.id for r in analysis.job.results if r.type == "activations" and r.site == "final_norm_out")


def test_a_stored_row_is_found_at_distance_0(service: Running, analysis: Finished):
    set_id = final_norm(analysis)
    vectors = service.client.vectors(set_id).astype(np.float64)
    points = np.stack([vectors[17], vectors[17] + 0.5])
    answer = service.client.query(set_id, vectors=points, k=3, beta=0.5)
    first, second = answer.results
    assert (first.nn_distance, first.neighbors[0].row) == (0.0, 17)
    assert first.neighbors[0].text
    gaps = np.linalg.norm(vectors - points[1], axis=1)
    assert [near.row for near in second.neighbors] == np.argsort(gaps)[:3].tolist()
    np.testing.assert_allclose([near.distance for near in second.neighbors], np.sort(gaps)[:3], rtol=1e-12)
    assert second.g == pytest.approx(gaps.min() ** 2, rel=1e-12)
    assert second.radius == second.nn_distance / 2
    assert second.energy == pytest.approx(energy.energy(vectors, points[1:], 0.5)[0], rel=1e-6)
    assert second.energy_mchn == pytest.approx(energy.energy_mchn(vectors, points[1:], 0.5)[0], rel=1e-6)
    report = service.client.radius(answer.percentile_of or "")
    assert report.activations == set_id
    assert first.percentile == pytest.approx(100 * report.fractions[-1].duplicates / report.n)


def test_the_text_of_a_chunk_is_its_own_nearest_row(service: Running, analysis: Finished):
    """A text whose tokens are those of a stored chunk is the row of that chunk, to the rounding of a forward pass."""
    set_id = final_norm(analysis)
    rows = httpx2.get(f"{service.url}/v1/activations/{set_id}/rows?limit=20").json()["data"]
    texts = [row["text"] for row in rows]
    answer = service.client.query(set_id, texts=texts, k=1)
    same = [found for row, found in zip(rows, answer.results, strict=True) if found.neighbors[0].row == row["row"]]
    assert len(same) >= 15  # a chunk that starts inside a word is cut into other tokens
    assert all(found.nn_distance < 1e-3 for found in same)
    assert all(found.tokens for found in answer.results)
    assert any("tokens" in note for note in answer.notes)


def test_what_cannot_be_asked(service: Running, analysis: Finished):
    set_id = final_norm(analysis)
    imported = service.client.import_vectors(np.eye(4, dtype=np.float32)).id
    with pytest.raises(InvalidInput) as caught:
        service.client.query(set_id, vectors=[[1.0, 2.0]])
    assert caught.value.field == "vectors"
    with pytest.raises(InvalidInput) as caught:
        service.client.query(set_id, texts=["word " * 500])
    assert caught.value.field == "texts"
    with pytest.raises(InvalidInput, match="imported"):
        service.client.query(imported, texts=["a text"])
    with pytest.raises(NotFound):
        service.client.query("act-none", vectors=[[1.0]])
    answer = service.client.query(imported, vectors=[[1.0, 0, 0, 0]], k=64)
    assert len(answer.results[0].neighbors) == 4
    assert answer.results[0].percentile is None
    assert any("radius job" in note for note in answer.notes)


@pytest.mark.long
def test_fig_1_is_drawn_outside_the_api(service: Running):
    for ending, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        answer = httpx2.get(f"{service.url}/v1/theory/figure1.{ending}", timeout=60)
        assert answer.status_code == 200
        assert answer.content.startswith(magic)


def test_a_killed_query_worker_is_503_and_comes_back(service: Running, analysis: Finished):
    set_id = final_norm(analysis)
    point = service.client.vectors(set_id)[:1]
    service.client.query(set_id, vectors=point)
    process = service.supervisor.child("query").process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    refused = httpx2.post(f"{service.url}/v1/activations/{set_id}/query", json={"vectors": point.tolist()})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert refused.json()["code"] == "unavailable"
    deadline = time.monotonic() + 60
    while True:
        try:
            assert service.client.query(set_id, vectors=point).results[0].nn_distance == 0
            return
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.long
def test_the_query_worker_is_found_whatever_the_environment_of_a_process(service: Running, tmp_path: Path):
    """Its socket is in the data directory, whose path is too long for one; a proxy is for other hosts."""
    assert len(os.fsencode(service.settings.query_socket)) > 108
    given = environment(service.settings) | {"TMPDIR": str(tmp_path), "ALL_PROXY": "socks5://127.0.0.1:9"}
    port = {"RADIUS_PORT": service.url.rpartition(":")[2]}
    for arguments in (["--role", "query"], []):
        command = module_command("service.cli", "health", *arguments)
        done = subprocess.run(command, env=given | port, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_second_service_on_the_data_directory_is_refused(service: Running):
    second = Supervisor(service.settings)
    with pytest.raises(Conflict, match=f"process {os.getpid()} at {service.url}"):
        second.start()
    second.stop()
    assert service.client.jobs(1)
