"""Every page with real results: it draws, has no fault that axe finds, and fits a phone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.page.browser import first_paint_ms

LISTS = (
    "/", "/jobs", "/activations", "/radius", "/profiles", "/energy", "/training", "/sweeps", "/reproductions",
    "/ask", "/theory", "/models", "/corpora", "/login",
)  # fmt: skip
RESULTS = ("job", "activations", "radius", "profile", "energy")
CHARTS = {"radius": 3, "profile": 3, "energy": 2}
FIRST_PAINT_S = 5.0  # with generous slack: a second on two quiet cores
Open = Callable[..., Page]


def path_of(results: dict[str, str], name: str) -> str:
    return results[name] if name in RESULTS else name


@pytest.mark.parametrize("name", [*LISTS, *RESULTS])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_a_page_fits_a_phone_and_axe_finds_nothing(open_page: Open, results: dict[str, str], name: str, scheme: str):
    page = open_page(path_of(results, name), color_scheme=scheme, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_drawn_and_have_tables(open_page: Open, results: dict[str, str], name: str):
    page = open_page(path_of(results, name))
    page.wait_for_selector(".plot .main-svg")
    assert page.locator(".plot .main-svg.hasLegend, .plot svg.main-svg").count() >= CHARTS[name]
    for figure in page.locator("figure.chart").all():
        figure.locator("summary").click()
        assert figure.locator("tbody tr").count() > 0
        assert figure.locator(".plot").get_attribute("aria-label")


def test_a_page_paints_soon_with_many_jobs(open_page: Open, many_jobs: None):
    page = open_page("/jobs")
    assert page.locator("tbody tr").count() == 50
    assert first_paint_ms(page) < 1000 * FIRST_PAINT_S
    page.get_by_role("link", name="Older").click()
    assert page.locator("tbody tr").count() == 50


def test_a_long_curve_is_drawn(open_page: Open, long_curve: str):
    began = time.monotonic()
    page = open_page(long_curve)
    page.wait_for_selector(".plot .main-svg")
    assert time.monotonic() - began < 2 * FIRST_PAINT_S
    points = page.evaluate("JSON.parse(document.querySelector('figure script').textContent).series[0].x.length")
    assert 500 <= points <= 1_200


def test_every_control_is_reached_by_the_keyboard(open_page: Open, results: dict[str, str]):
    page = open_page(path_of(results, "radius"))
    page.wait_for_selector(".plot .main-svg")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached = set[str]()
    for _ in range(150):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 30)"))
    assert {"farthest", "figure.png", "JSON", "its job", "Distances as a table"} <= reached
