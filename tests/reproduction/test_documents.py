"""The documents of a report: self-contained, escaped, with a text for every figure; and two reports compared."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from service.contracts.base import now
from service.contracts.claims import PartName
from service.contracts.reproduction import (
    ChartCurve,
    ChartMark,
    ClaimChart,
    NotRun,
    PartRun,
    ReproductionReport,
    ReproductionSpec,
)
from service.reproduction import evidence as evidence_module
from service.reproduction.charts import chart_svg
from service.reproduction.comparison import compare
from service.reproduction.evidence import Evidence, result
from service.reproduction.finding import Finding
from service.reproduction.html import report_html
from service.reproduction.markdown import report_markdown
from service.reproduction.required_jobs import claims_of, parts_of

HOSTILE = '<script>alert("x")</script> | `a` *b*'


@pytest.fixture(scope="module")
def report() -> ReproductionReport:
    """A report of the computed claims; the parts of the others were refused, with a hostile message."""
    spec = ReproductionSpec(scale="small")
    refused = {"code": "invalid_input", "detail": HOSTILE}
    runs: dict[PartName, PartRun] = {
        part: PartRun(part=part, kind="analysis", preset=None, job=None, state="refused", error=refused)
        for part in parts_of(spec)
    }
    claims = [result(claim, spec, Evidence(), runs) for claim in claims_of(spec)]
    return ReproductionReport(
        id="reproduction-0",
        job="job-0",
        scale="small",
        seed=0,
        model=HOSTILE,
        corpus="python-docs",
        complete=True,
        claims=claims,
        not_run=[NotRun(claim="P1", reason=HOSTILE, cost="an hour")],
        errata=[],
        runs=list(runs.values()),
        warnings=[],
        provenance={"commit": "0"},
        created_at=now(),
    )


@pytest.mark.parametrize(("marks", "points", "drawn"), [(0, [0, 0], False), (0, [0, 3], True), (1, [], True)])
def test_a_figure_with_nothing_to_draw_is_left_out(
    marks: int, points: list[int], drawn: bool, monkeypatch: pytest.MonkeyPatch
):
    curves = [ChartCurve(label="loss", x=[1.0] * count, y=[2.0] * count) for count in points]
    chart = ClaimChart(title="t", unit="u", marks=[ChartMark(label="m", value=1.0)] * marks, curves=curves)
    monkeypatch.setattr(evidence_module, "judge", lambda *_: Finding("reproduced", "as it is", chart=chart))
    spec = ReproductionSpec(scale="small", claims=["AE"])
    (claim,) = (result(each, spec, Evidence(), {}) for each in claims_of(spec))
    assert claim.chart == (chart if drawn else None)
    assert bool(chart_svg("AE", chart)) == drawn


class Page(HTMLParser):
    """The tags of a page and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_escapes_names(report: ReproductionReport):
    text = report_html(report)
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.found}
    assert "&lt;script&gt;" in text
    for tag, given in page.found:
        assert not [name for name in given if name.startswith("on") or name == "src"]
        if (href := given.get("href")) is not None:
            assert href.startswith("#") or (tag == "link" and href == "data:,")
    assert "url(" not in text
    assert "@import" not in text


def test_every_link_of_the_contents_has_its_section_and_every_figure_its_text(report: ReproductionReport):
    page = Page(report_html(report))
    ids = [given["id"] for _, given in page.found if "id" in given]
    assert len(ids) == len(set(ids))
    linked = {given["href"] for tag, given in page.found if tag == "a"}
    assert {f"#{name}" for name in (*(claim.id for claim in report.claims), "not-run", "errata")} == linked
    figures = [given for tag, given in page.found if tag == "svg"]
    assert len(figures) == sum(claim.chart is not None for claim in report.claims)
    for given in figures:
        named = str(given["aria-labelledby"]).split()
        assert given["role"] == "img"
        assert set(named) <= set(ids)


def test_a_figure_says_its_numbers(report: ReproductionReport):
    claim = next(claim for claim in report.claims if claim.id == "Q14")
    assert claim.chart is not None
    drawn = chart_svg(claim.id, claim.chart)
    assert "T and l fixed: 4" in re.findall(r"<desc[^>]*>([^<]*)</desc>", drawn)[0]
    assert "nan" not in drawn


def test_markdown_has_every_claim_and_no_markup_of_names(report: ReproductionReport):
    text = report_markdown(report)
    assert all(f"\n## {claim.id} ({claim.where})" in text for claim in report.claims)
    assert "<script>" not in text.replace("\\<script>", "")
    assert "\n- P1: " in text


def test_two_reports_side_by_side(report: ReproductionReport):
    first, *others = report.claims
    changed = first.model_copy(update={"verdict": "reproduced", "measured": 5.0})
    after = report.model_copy(update={"claims": [changed, *others[:-1]]})
    found = {change.claim: change for change in compare(report, after)}
    assert first.measured is not None
    assert (found["E1"].before, found["E1"].after) == ("contradicted", "reproduced")
    assert found["E1"].difference == 5.0 - first.measured
    assert found["U1"].after is None
    assert [name for name, change in found.items() if change.verdict_changed] == ["E1", "U1"]
