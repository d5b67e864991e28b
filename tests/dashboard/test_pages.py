"""Every page answers with what the REST routes know; errors are pages; names are escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.dashboard.rendering import POLICY
from service.settings import Settings
from tests.api.products import Published, insert_run, publish_report
from tests.api.support import ONCE, catalog_of, client_of, import_array

PAGES = (
    "/", "/jobs", "/activations", "/radius", "/profiles", "/energy", "/training", "/sweeps", "/reproductions",
    "/ask", "/theory", "/models", "/corpora", "/login",
)  # fmt: skip
HOSTILE = '<img src=x onerror=alert(1)>"'


@pytest.fixture
def reading(settings: Settings) -> Iterator[tuple[TestClient, Published]]:
    published = publish_report(settings, statistics=True)
    with client_of(settings) as client:
        yield client, published


@ONCE
@pytest.mark.parametrize("path", PAGES)
def test_a_service_without_anything_has_every_page(api: TestClient, path: str):
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "<h1>" in answer.text


def test_a_report_says_how_far_how_sure_and_against_what(reading: tuple[TestClient, Published]):
    client, published = reading
    report = client.get(f"/v1/radius/{published.report}").json()
    text = client.get(f"/radius/{published.report}").text
    mean = report["fractions"][-1]["nn_distance"]["mean"]
    assert f"{mean:.{_digits(text)}f}" in text
    for words in ("how far", "how sure", "against the Gaussian null", "as printed: √(n/2πe)", "text 2", "text 3"):
        assert words in text
    assert f'href="/v1/radius/{published.report}/neighbors.parquet"' in text


def _digits(text: str) -> int:
    """Decimals with which the page shows the mean."""
    found = re.search(r"how far</dt><dd>\d+\.(\d+) ±", text)
    assert found is not None, "the mean has its error"
    return len(found[1])


def test_links_of_pages_lead_to_pages(reading: tuple[TestClient, Published]):
    client, published = reading
    seen, waiting = set[str](), ["/", f"/radius/{published.report}", f"/compare?report={published.report}"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = client.get(path)
        assert answer.status_code == 200, path
        links = (found.replace("&amp;", "&") for found in re.findall(r'(?:href|src)="(/[^"#]*)', answer.text))
        if answer.headers["content-type"].startswith("text/html"):
            waiting += [found for found in links if found not in seen and not found.startswith(("/v1/", "/docs"))]
    assert {f"/jobs/{published.job}", f"/activations/{published.activations}"} <= seen


@ONCE
def test_names_are_escaped(api: TestClient):
    set_id = import_array(api, np.eye(3), HOSTILE)
    assert "<img" not in api.get("/ask", params={"set": set_id, "text": HOSTILE}).text
    for path in ("/activations", f"/activations/{set_id}"):
        text = api.get(path).text
        assert "<img" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text


@ONCE
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/job-1", 404),
        ("/radius/radius-1", 404),
        ("/compare", 422),
        ("/jobs?kind=dance", 422),
    ],
)
def test_an_error_is_a_page_with_its_status(api: TestClient, path: str, status: int):
    answer = api.get(path)
    assert answer.status_code == status
    assert '<p role="alert">' in answer.text


@ONCE
def test_a_filter_that_was_left_empty_filters_nothing(api: TestClient):
    catalog = catalog_of(api)
    run = insert_run(catalog)
    for path in ("/jobs?kind=&state=", "/jobs?kind=training&state=", "/jobs"):
        assert api.get(path).text.count("data-job=") == 1, path
    assert "data-job=" not in api.get("/jobs?kind=radius").text
    assert run in api.get("/training").text


@ONCE
def test_static_files_and_plotly_are_kept_by_the_browser(api: TestClient):
    plotly = api.get("/static/plotly.js")
    assert plotly.headers["content-type"].startswith("text/javascript")
    assert len(plotly.content) > 1_000_000
    assert plotly.headers["content-encoding"] == "gzip"
    assert int(plotly.headers["content-length"]) < len(plotly.content) / 3
    assert api.get("/static/plotly.js", headers={"accept-encoding": "identity"}).content == plotly.content
    assert api.get("/static/plotly.js", headers={"if-none-match": plotly.headers["etag"]}).status_code == 304
    for path in sorted(Path("service/dashboard/static").iterdir()):
        assert api.get(f"/static/{path.name}").content == path.read_bytes()
    assert api.get("/static/../app.py").status_code == 404


def test_below_a_path_links_begin_with_it(settings: Settings):
    published = publish_report(settings)
    with client_of(settings.model_copy(update={"root_path": "/radius"})) as client:
        text = client.get(f"/radius/jobs/{published.job}").text
    assert f'href="/radius/radius/{published.report}"' in text
    assert 'data-root="/radius"' in text
    assert all(found.startswith("/radius/") for found in re.findall(r'(?:href|src)="(/[^"]*)', text))
