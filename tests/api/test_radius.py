"""GET /v1/radius and …/{id}: the report, field by field, against a brute force; listing; figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import read_manifest, write_manifest
from service.settings import Settings
from tests.api.products import D_MODEL, ROWS, Published, nearest_distances, publish_report
from tests.api.support import problem_of

REPORT = {
    "id", "job", "activations", "site", "name", "n", "d_model", "engine", "exclude", "certified_fraction", "fractions",
    "theory", "null_model", "counts", "partition", "partition_reason", "intrinsic_dimension", "reference",
    "engine_reason", "warnings", "timing", "provenance", "created_at", "statistics_reason", "null_models", "neighbors",
    "sample_size", "scale", "coverage", "self", "rank_auc", "split", "loss",
}  # fmt: skip
FRACTION = {
    "fraction", "n", "nn_distance", "nn_distance_distinct", "radius", "duplicates", "without_neighbor", "histogram",
    "reason", "approximation", "minus_largest", "median_minus_largest",
}  # fmt: skip
SUMMARY = {"id", "job", "activations", "site", "name", "n", "d_model", "nn_distance", "created_at", "href"}
QUANTILES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


@pytest.fixture
def report(reading: TestClient, published: Published) -> dict[str, Any]:
    return reading.get(f"/v1/radius/{published.report}").json()


def test_the_report_has_the_fields_of_the_contract(report: dict[str, Any], published: Published):
    assert set(report) == REPORT
    assert [set(fraction) for fraction in report["fractions"]] == [FRACTION] * 4
    assert (report["id"], report["job"], report["activations"]) == (
        published.report,
        published.job,
        published.activations,
    )
    assert (report["n"], report["d_model"], report["site"]) == (ROWS, D_MODEL, "final_norm_out")
    assert (report["certified_fraction"], report["exclude"]) == (1.0, "self")
    assert (report["counts"], report["intrinsic_dimension"]) == (None, None)
    assert {"search_s", "total_s"} <= set(report["timing"])
    assert all(seconds >= 0 for seconds in report["timing"].values())


def test_the_fractions_are_a_quarter_to_all_of_the_rows(report: dict[str, Any]):
    parts = [(part["fraction"], part["n"]) for part in report["fractions"]]
    assert parts == [(0.25, 10), (0.5, 20), (0.75, 30), (1.0, 40)]


def test_the_distances_are_those_of_a_brute_force(report: dict[str, Any], published: Published):
    distances, whole = nearest_distances(published.vectors), report["fractions"][-1]
    found = whole["nn_distance"]
    assert set(found) == {"mean", "median", "std", "min", "max", "quantiles", "uncertainty"}
    wanted = [distances.mean(), np.median(distances), distances.std(), distances.min(), distances.max()]
    assert [found[name] for name in ("mean", "median", "std", "min", "max")] == pytest.approx(wanted, rel=1e-9)
    assert sorted(float(q) for q in found["quantiles"]) == QUANTILES
    assert [found["quantiles"][str(q)] for q in QUANTILES] == pytest.approx(np.quantile(distances, QUANTILES), rel=1e-9)
    distinct = distances[distances > 0]
    assert whole["nn_distance_distinct"]["mean"] == pytest.approx(distinct.mean(), rel=1e-9)
    assert whole["duplicates"] == np.count_nonzero(distances == 0) == 2


def test_the_radius_is_half_the_distance(report: dict[str, Any]):
    for part in report["fractions"]:
        assert part["radius"]["mean"] == part["nn_distance"]["mean"] / 2
        assert part["radius"]["median"] == part["nn_distance"]["median"] / 2


def test_the_histograms_have_the_same_edges_and_count_every_row(report: dict[str, Any]):
    edges = [part["histogram"]["edges"] for part in report["fractions"]]
    assert all(other == edges[0] for other in edges)
    for part in report["fractions"]:
        assert len(part["histogram"]["edges"]) == len(part["histogram"]["counts"]) + 1
        assert sum(part["histogram"]["counts"]) == part["n"]


def test_theory_is_given_for_both_readings_of_the_dimension(report: dict[str, Any]):
    literal, corrected = report["theory"]["paper_literal"], report["theory"]["corrected"]
    assert (literal["n"], literal["sequence"]["n"]) == (D_MODEL, 4 * D_MODEL)
    assert (corrected["n"], corrected["sequence"]["n"]) == (D_MODEL, 4 * D_MODEL)
    assert literal["radius"] == pytest.approx(np.sqrt(D_MODEL / (2 * np.pi * np.e)))
    assert literal["nn_distance"] == 2 * literal["radius"]
    assert report["theory"]["notes"]


def test_the_null_model_stands_beside_each_fraction(report: dict[str, Any]):
    null = report["null_model"]
    assert (null["kind"], null["rank"]) == ("gaussian", D_MODEL)
    assert [part["n"] for part in null["fractions"]] == [10, 20, 30, 40]
    for part, observed in zip(null["fractions"], report["fractions"], strict=True):
        ratio = observed["nn_distance"]["mean"] / part["nn_distance"]["mean"]
        assert part["observed_over_null"] == pytest.approx(ratio)


def test_the_reader_is_warned_and_told_where_it_came_from(report: dict[str, Any]):
    assert {"few_rows", "duplicates"} <= {warning["code"] for warning in report["warnings"]}
    assert all(set(warning) == {"code", "message"} for warning in report["warnings"])
    assert {"versions", "commit", "seed", "device", "dtype", "activations_sha256"} <= set(report["provenance"])


def test_the_job_has_its_products_in_order(reading: TestClient, published: Published):
    job = reading.get(f"/v1/jobs/{published.job}").json()
    products = [(result["type"], result["site"], result["id"], result["href"]) for result in job["results"]]
    assert products == [
        ("activations", "final_norm_out", published.activations, f"/v1/activations/{published.activations}"),
        ("radius", "final_norm_out", published.report, f"/v1/radius/{published.report}"),
    ]
    assert job["result"] == job["results"][0]
    assert (job["state"], job["progress"]["done"], job["progress"]["total"]) == ("succeeded", ROWS, ROWS)
    assert reading.get(job["results"][1]["href"]).status_code == 200


def test_reports_are_listed_and_filtered_by_set(reading: TestClient, published: Published, report: dict[str, Any]):
    [row] = reading.get("/v1/radius").json()["data"]
    assert set(row) == SUMMARY
    assert (row["id"], row["href"]) == (published.report, f"/v1/radius/{published.report}")
    whole = report["fractions"][-1]["nn_distance"]
    assert row["nn_distance"] == {"mean": whole["mean"], "median": whole["median"]}
    of_the_set = reading.get("/v1/radius", params={"activations": published.activations}).json()
    assert of_the_set == {"data": [row], "next": None}
    assert reading.get("/v1/radius", params={"activations": "act-0"}).json() == {"data": [], "next": None}


MEDIA = {
    "png": ("image/png", b"\x89PNG\r\n"),
    "svg": ("image/svg+xml", b"<?xml"),
    "pdf": ("application/pdf", b"%PDF-"),
}


@pytest.mark.parametrize(("ending", "media"), MEDIA.items(), ids=MEDIA)
def test_figures_are_what_they_say(reading: TestClient, published: Published, ending: str, media: tuple[str, bytes]):
    response = reading.get(f"/v1/radius/{published.report}/figure.{ending}")
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == media[0]
    assert response.content.startswith(media[1])
    if ending == "png":
        assert int.from_bytes(response.content[16:20], "big") == 1200  # pixels wide


def test_a_fraction_of_one_row_has_no_numbers_and_says_why(settings: Settings, api: TestClient):
    made = publish_report(settings, np.ones((2, 3), dtype=np.float32), fractions=[0.5, 1.0])
    report = api.get(f"/v1/radius/{made.report}").json()
    lonely = report["fractions"][0]
    assert (lonely["n"], lonely["nn_distance"], lonely["radius"], lonely["histogram"]) == (1, None, None, None)
    assert lonely["reason"]
    assert report["fractions"][1]["duplicates"] == 2
    assert report["fractions"][1]["nn_distance_distinct"] is None
    for part in ("histogram", "quantiles", "neighbors", "figure.png"):
        assert api.get(f"/v1/radius/{made.report}/{part}").status_code == 200
    assert api.get(f"/v1/radius/{made.report}/quantiles").json()["fractions"][0]["quantiles"] is None


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture
def folder(reading_settings: Settings, published: Published) -> Iterator[Path]:
    """The folder of the report, to be damaged; put back afterwards."""
    path = reading_settings.artifacts_root / published.report
    sound = {file: file.read_bytes() for file in path.iterdir()}
    yield path
    for file, content in sound.items():
        file.write_bytes(content)


PARTS = {
    "report.json": ["", "/histogram", "/quantiles", "/neighbors"],
    "neighbors.safetensors": ["/histogram", "/quantiles", "/neighbors"],
    "figure.png": ["/figure.png"],
    "manifest.json": ["", "/histogram", "/neighbors", "/figure.svg"],
}
DAMAGE: dict[str, Callable[[Path], object]] = {"one bit": flip_last_byte, "lost": Path.unlink}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", PARTS)
def test_a_damaged_report_is_not_served(reading: TestClient, folder: Path, name: str, damage: Callable[[Path], object]):
    damage(folder / name)
    for part in PARTS[name]:
        problem_of(reading.get(f"/v1/radius/{folder.name}{part}"), 500, "corrupt_artifact")


def test_a_manifest_that_was_rewritten_is_not_believed(reading: TestClient, folder: Path):
    """The catalog has its SHA-256, so that a changed report does not pass by a manifest changed with it."""
    report = (folder / "report.json").read_bytes()
    (folder / "report.json").write_bytes(report.replace(b'"engine": "exact"', b'"engine": "guess"'))
    manifest = read_manifest(folder)
    for entry in manifest["files"]:
        entry["sha256"] = sha256_file(folder / entry["name"])
    write_manifest(folder, manifest)
    problem_of(reading.get(f"/v1/radius/{folder.name}"), 500, "corrupt_artifact")
