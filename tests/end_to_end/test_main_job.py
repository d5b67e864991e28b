"""Text → activations → FAISS → report, through REST, by the real processes."""

from __future__ import annotations

import io
import math
from pathlib import Path

import httpx2
import numpy as np
import pytest
from transformers.models.auto.tokenization_auto import AutoTokenizer
from transformers.models.gpt2.modeling_gpt2 import GPT2Model

from service.client import Finished, JobFailed
from service.errors import InvalidInput
from tests.end_to_end.conftest import ANALYSIS, Running
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.reference import nearest_reference


def test_every_product_is_listed_and_the_first_is_the_result(analysis: Finished):
    job = analysis.job
    assert [(result.type, result.site) for result in job.results] == [
        (kind, site) for kind in ("activations", "radius") for site in ANALYSIS["sites"]
    ]
    assert job.result == job.results[0]
    assert job.progress.done == job.progress.total == 3 * 400
    assert job.started_at is not None
    assert job.finished_at is not None


def test_the_report_is_what_the_reference_finds_in_the_stored_vectors(service: Running, analysis: Finished):
    for report_id in analysis.reports:
        report = service.client.radius(report_id)
        vectors = service.client.vectors(report.activations)
        assert vectors.shape == (400, 32)
        order = seeded_permutation(400, 0)
        for part in report.fractions:
            distances = nearest_reference(vectors[order[: part.n]])[0][:, 0]
            assert part.nn_distance is not None
            assert part.nn_distance.mean == pytest.approx(distances.mean(), rel=1e-12)
            assert part.nn_distance.median == pytest.approx(np.median(distances), rel=1e-12)
            assert part.duplicates == (distances == 0).sum()
        assert report.certified_fraction == 1.0
        assert report.theory["paper_literal"]["radius"] == pytest.approx(math.sqrt(32 / (2 * math.pi * math.e)))
        assert report.theory["corrected"]["sequence"]["n"] == 16 * 32
        assert report.null_model is not None
        assert all(null.nn_distance is not None for null in report.null_model.fractions)


def test_a_stored_row_is_what_hugging_face_computes_from_its_text(service: Running, analysis: Finished):
    """From the row's own document, offset and text, through the tokenizer, by a plain forward."""
    folder = service.settings.models_root / "tiny"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), GPT2Model.from_pretrained(folder).eval()
    set_id = analysis.activations[1]
    url = f"{service.url}/v1/activations/{set_id}/rows?limit=20&vectors=true"
    rows = httpx2.get(url, timeout=30).json()["data"]
    checked = 0
    for row in rows:
        tokens = tokenizer(row["text"], return_tensors="pt").input_ids
        if tokens.shape[1] != 16 or tokens[0, -1] != row["token_id"]:
            continue  # a chunk cut within a word does not tokenise to itself again
        expected = model(tokens).last_hidden_state[0, -1].detach().numpy()
        np.testing.assert_allclose(row["vector"], expected, rtol=1e-4, atol=1e-4)
        checked += 1
    assert checked >= 10


def test_neighbors_are_readable(service: Running, analysis: Finished):
    closest = service.client.neighbors(analysis.reports[0], limit=5)
    farthest = service.client.neighbors(analysis.reports[0], order="farthest", limit=5)
    assert closest[0].distance <= closest[-1].distance < farthest[-1].distance <= farthest[0].distance
    assert all(pair.a.text and pair.b.text and pair.a.document for pair in closest)


def test_figures_are_drawn_in_three_formats(service: Running, analysis: Finished):
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for ending, head in heads.items():
        assert service.client.figure(analysis.reports[0], ending).startswith(head)
    width = int.from_bytes(service.client.figure(analysis.reports[0])[16:20], "big")
    assert width == 1200


@pytest.mark.long
def test_the_same_seed_gives_the_same_bits(service: Running, analysis: Finished):
    again = service.run("analysis", ANALYSIS | {"reuse": False})
    for one, other in zip(analysis.activations, again.activations, strict=True):
        assert (service.client.vectors(one) == service.client.vectors(other)).all()
    for one, other in zip(analysis.reports, again.reports, strict=True):
        assert service.client.radius(one).fractions == service.client.radius(other).fractions


def test_all_positions_give_a_row_each(service: Running):
    done = service.run("extraction", ANALYSIS | {"position": "all", "chunks": 10, "sites": ["blocks.0.hook_mlp_out"]})
    detail = service.client.activations(done.activations[0])
    assert detail.n == 160
    assert detail.manifest["parity"]["max_relative_deviation"] < 1e-5


def test_lower_precision_records_its_deviation(service: Running):
    done = service.run("extraction", ANALYSIS | {"dtype": "bfloat16", "chunks": 16, "sites": ["final_norm_out"]})
    detail = service.client.activations(done.activations[0])
    assert detail.dtype == "float32"
    assert 1e-4 < detail.manifest["parity"]["max_relative_deviation"] < 0.2


def test_fewer_chunks_than_asked_is_a_warning_and_the_true_number(service: Running, tmp_path: Path):
    text = tmp_path / "short.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    corpus = service.client.upload_corpus(text)
    done = service.run("extraction", ANALYSIS | {"corpus": corpus.id, "sites": ["final_norm_out"]})
    assert service.client.activations(done.activations[0]).n < 40
    assert [warning.code for warning in done.job.warnings] == ["fewer_chunks"]


def test_your_own_vectors_get_a_report(service: Running):
    rows = np.random.default_rng(0).standard_normal((300, 20)).astype(np.float16)
    rows[7] = rows[3]
    summary = service.client.import_vectors(rows, "mine")
    assert (summary.n, summary.d_model, summary.dtype) == (300, 20, "float16")
    report = service.client.radius(service.run("radius", {"activations": summary.id, "k": 3}).reports[0])
    assert report.fractions[-1].duplicates == 2
    assert "duplicates" in [warning.code for warning in report.warnings]
    assert "sequence" not in report.theory["paper_literal"]


def test_two_rows_give_null_and_a_reason_below_two(service: Running):
    summary = service.client.import_vectors(np.eye(2), "pair")
    report = service.client.radius(service.run("radius", {"activations": summary.id}).reports[0])
    assert report.fractions[0].nn_distance is None
    assert report.fractions[0].reason == "fewer than 2 rows"
    assert report.fractions[-1].nn_distance is not None
    assert report.fractions[-1].nn_distance.mean == pytest.approx(math.sqrt(2))


def test_excluding_the_document_is_farther(service: Running, analysis: Finished):
    own = service.client.radius(analysis.reports[0])
    other = service.run("radius", {"activations": own.activations, "exclude": "same_document"})
    report = service.client.radius(other.reports[0])
    assert report.fractions[-1].nn_distance is not None
    assert own.fractions[-1].nn_distance is not None
    assert report.fractions[-1].nn_distance.mean > own.fractions[-1].nn_distance.mean


def test_a_job_that_cannot_work_fails_with_a_reason(service: Running):
    with pytest.raises(JobFailed, match="no such folder"):
        service.run("extraction", ANALYSIS | {"model": "no-such-folder"})


@pytest.mark.parametrize(
    ("change", "message", "field"),
    [
        ({"sites": ["final_norm_out", "blocks.9.hook_resid_post"]}, "3 blocks", "spec.sites"),
        ({"chunk_tokens": 65}, "context is 64", "spec.chunk_tokens"),
    ],
)
def test_what_the_model_does_not_have_is_refused_at_once(service: Running, change: dict, message: str, field: str):
    with pytest.raises(InvalidInput, match=message) as caught:
        service.client.submit("extraction", ANALYSIS | change)
    assert [error["field"] for error in caught.value.errors] == [field]


def test_a_damaged_shard_never_gives_a_number(service: Running):
    done = service.run("extraction", ANALYSIS | {"chunks": 40, "sites": ["final_norm_out"], "seed": 3})
    shard = service.settings.artifacts_root / done.activations[0] / "shard-00000.safetensors"
    damaged = bytearray(shard.read_bytes())
    damaged[-1] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(JobFailed, match="SHA-256"):
        service.run("radius", {"activations": done.activations[0]})


def test_files_that_are_no_text_fail_with_the_byte(service: Running, tmp_path: Path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good text \xff\xfe")
    corpus = service.client.upload_corpus(bad)
    assert corpus.state == "failed"
    assert corpus.error is not None
    assert "byte 10" in corpus.error["detail"]
    with pytest.raises(InvalidInput):
        service.client.submit("extraction", ANALYSIS | {"corpus": corpus.id})
    assert service.client.upload_corpus(bad, errors="replace").replaced_documents == 1


def test_npy_files_are_imported_too(service: Running, tmp_path: Path):
    rows = np.random.default_rng(1).standard_normal((50, 3))
    np.save(tmp_path / "rows.npy", rows)
    summary = service.client.import_vectors(tmp_path / "rows.npy")
    assert (service.client.vectors(summary.id) == rows).all()
    downloaded = httpx2.get(f"{service.url}/v1/activations/{summary.id}/files/shard-00000.safetensors", timeout=30)
    assert len(io.BytesIO(downloaded.content).read()) > rows.nbytes
