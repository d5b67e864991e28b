"""`reproduction` jobs over REST: what is refused, what is estimated, what is served; claims and corpora by name."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.contracts.claims import CLAIMS, PartName
from service.contracts.reproduction import ReproductionReport, ReproductionSpec
from service.ids import derived_id
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from tests.api.support import client_of, submit
from workers.flows.reproduction.arguments import PartOutcome, ReportArguments
from workers.flows.reproduction.report import publish_report


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"scale": "tiny"}, "spec.scale"),
        ({"claims": ["P1", "P9"]}, "spec.claims.1"),
        ({"claims": []}, "spec.claims"),
        ({"claims": ["P1", "P1"]}, "spec.claims"),
        ({"seed": -1}, "spec.seed"),
        ({"corpus": "nowhere"}, "spec.corpus"),
        ({"model": "../up"}, "spec.model"),
        ({"model": "run:run-0@1"}, "spec.model"),
        ({"verdict": "reproduced"}, "spec"),
    ],
)
def test_a_wrong_spec_names_its_field(refusing: TestClient, spec: dict, field: str):
    answer = submit(refusing, "reproduction", spec)
    assert answer.status_code == 422
    assert any(error["field"].startswith(field) for error in answer.json()["errors"])


@pytest.mark.parametrize(
    ("kind", "preset", "name"),
    [("analysis", "paper/f1", "openwebtext"), ("training", "paper/f3-40m", "spgc"), ("sweep", "paper/table3", "spgc")],
)
def test_presets_of_the_paper_say_how_to_register_their_corpus(refusing: TestClient, kind: str, preset: str, name: str):
    for route in ("/v1/jobs", "/v1/jobs/estimate"):
        answer = refusing.post(route, json={"kind": kind, "spec": {"preset": preset}})
        assert answer.status_code == 422
        assert f"no corpus named {name} is registered; POST /v1/corpora" in answer.json()["detail"]


def test_an_estimate_lists_parts_and_what_cannot_run_here(refusing: TestClient):
    body = {"kind": "reproduction", "spec": {"scale": "paper"}}
    found = refusing.post("/v1/jobs/estimate", json=body).json()
    stages, notes = {stage["stage"].partition(":")[0] for stage in found["stages"]}, "\n".join(found["notes"])
    assert stages == {*get_args(PartName), "report"}
    for part, corpus in (
        ("analysis", "openwebtext"),
        ("descent", "openwebtext"),
        ("table3", "spgc"),
        ("seeds", "spgc"),
    ):
        assert f"{part} cannot run here: no corpus named {corpus} is registered" in notes
    assert re.search(r"^table3: [0-9.e+]+ GPU hours at 1e\+14 FLOP/s$", notes, flags=re.MULTILINE)
    small = refusing.post("/v1/jobs/estimate", json={"kind": "reproduction", "spec": {"scale": "small"}}).json()
    assert {stage["stage"].partition(":")[0] for stage in small["stages"]} >= {"questions", "table3", "seeds"}


def test_claims_are_listed_as_data(refusing: TestClient):
    listed = refusing.get("/v1/claims").json()["data"]
    assert [claim["id"] for claim in listed] == [claim.id for claim in CLAIMS]
    assert listed[1]["needs"] == ["analysis"]


def publish(
    settings: Settings, catalog: Catalog, spec: ReproductionSpec, view: int, outcomes: list[PartOutcome]
) -> str:
    """A view of a report, by the segment that publishes it."""
    job = insert_job(catalog, spec.model_dump(mode="json"), "reproduction")
    report = derived_id("reproduction", job)
    for number in range(view + 1):
        arguments = ReportArguments(
            spec=spec,
            report=report,
            model="a <model>",
            view=number,
            complete=number == view,
            outcomes=outcomes,
            held_out=[],
            warnings=[],
            settled=number,
        )
        publish_report(arguments, own_segment(settings, catalog, job, f"report-{number}"))
    return report


def test_a_report_is_served_in_three_forms_and_its_figures(settings: Settings, catalog: Catalog):
    failed = PartOutcome(
        part="analysis",
        kind="analysis",
        preset=None,
        job=None,
        state="refused",
        error={"code": "x", "detail": "no <b>"},
    )
    report_id = publish(settings, catalog, ReproductionSpec(claims=["E1", "P1", "AE"]), 1, [failed])
    with client_of(settings) as client:
        summary = client.get(f"/v1/reproductions/{report_id}").json()
        assert summary["verdicts"] == {"E1": "contradicted", "P1": "not_run", "AE": "contradicted"}
        assert summary["complete"] is True
        assert [row["id"] for row in client.get("/v1/reproductions").json()["data"]] == [report_id]
        report = ReproductionReport.model_validate(client.get(f"/v1/reproductions/{report_id}/report.json").json())
        assert report.claims[1].reason == "The job of its part analysis failed: no <b>."
        assert [each.claim for each in report.not_run] == ["P1"]
        assert report.not_run[0].cost is not None
        assert report.not_run[0].cost.startswith("At scale smoke: analysis ")
        page = client.get(f"/v1/reproductions/{report_id}/report.html")
        assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "a &lt;model&gt;" in page.text
        assert "no &lt;b&gt;" in page.text
        assert "no <b>" not in page.text
        assert "| E1 | figure 1 | contradicted |" in client.get(f"/v1/reproductions/{report_id}/report.md").text
        figure = client.get(f"/v1/reproductions/{report_id}/figures/E1.svg")
        assert figure.headers["content-type"] == "image/svg+xml"
        assert "<desc" in figure.text
        for name in ("report.json", "report.html", "report.md", "figures/E1.svg"):
            _is_revalidated(client, f"/v1/reproductions/{report_id}/{name}")
        assert client.get(f"/v1/reproductions/{report_id}/figures/AE.svg").status_code == 404
        assert client.get(f"/v1/reproductions/{report_id}/figures/X1.svg").status_code == 422
        assert client.get("/v1/reproductions/reproduction-0/report.json").status_code == 404
    views = [folder.name for folder in (settings.artifacts_root / report_id).iterdir()]
    assert views == ["view-00000001"]


def _is_revalidated(client: TestClient, path: str) -> None:
    whole, head = client.get(path), client.head(path)
    assert len(whole.headers["etag"]) >= 66  # a SHA-256 in quotes
    assert (head.status_code, head.headers["etag"]) == (200, whole.headers["etag"])
    assert head.headers["content-length"] == str(len(whole.content))
    unchanged = client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
