"""What the pages weigh and when they paint in Chromium, with 10,000 jobs and a curve of 100,000 steps; API memory.

`python -m tests.benchmarks page` prints JSON. Each page is opened `LOADS` times by a browser that has seen nothing, and
as often by one that keeps styles and scripts; times are medians in milliseconds since the navigation began.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, BrowserContext

from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.products import publish_report
from tests.benchmarks.event_streams import server
from tests.databases.migrated import sqlite_settings
from tests.page.browser import first_paint_ms, launched
from tests.page.conftest import insert_curve, insert_jobs

JOBS, STEPS, LOADS, MIB, PATIENCE_MS = 10_000, 100_000, 5, 2**20, 120_000
DRAWN = ".plot .main-svg"
_MEASURE = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const files = performance.getEntriesByType("resource");
    const sum = (field) => files.reduce((total, file) => total + file[field], page[field]);
    return {
        response_ms: page.responseEnd,
        loaded_ms: page.loadEventEnd,
        page_bytes: page.decodedBodySize,
        transferred_bytes: sum("transferSize"),
        requests: files.length + 1,
    };
}"""


def main() -> None:
    """Print sizes and times of each page, and the memory of the API process before and after."""
    with tempfile.TemporaryDirectory() as name:
        settings = sqlite_settings(Path(name) / "data")
        pages = _fill(settings)
        with server(settings) as port, launched() as browser:
            process = next(child for child in psutil.Process().children() if _serves(child))
            before = process.memory_info().rss
            found: dict[str, Any] = {what: _page(browser, f"http://127.0.0.1:{port}{path}") for what, path in pages}
            found["api_mib"] = {"before": before / MIB, "after": process.memory_info().rss / MIB}
    print(json.dumps(found, indent=1))


def _fill(settings: Settings) -> list[tuple[str, str]]:
    """What the pages show, and their paths."""
    report = publish_report(settings, statistics=True).report
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        insert_jobs(catalog, JOBS)
        curve = insert_curve(catalog, STEPS)
    return [("overview", "/"), ("jobs", "/jobs"), ("radius", f"/radius/{report}"), ("curve", curve)]


def _serves(process: psutil.Process) -> bool:
    return "service.server" in process.cmdline()


def _page(browser: Browser, url: str) -> dict[str, Any]:
    def first() -> dict[str, float]:
        with closing(browser.new_context()) as context:
            return _load(context, url)

    with closing(browser.new_context()) as context:
        _load(context, url)
        again = _medians(lambda: _load(context, url))
    return {"first": _medians(first), "again": again}


def _medians(load: Callable[[], dict[str, float]]) -> dict[str, float]:
    loads = [load() for _ in range(LOADS)]
    return {name: round(statistics.median(found[name] for found in loads)) for name in loads[0]}


def _load(context: BrowserContext, url: str) -> dict[str, float]:
    """Open a page; where it has charts, `drawn_ms` is when the first was drawn."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    found = {"first_paint_ms": first_paint_ms(page)} | page.evaluate(_MEASURE)
    if page.locator("figure.chart").count():
        page.wait_for_selector(DRAWN)
        found["drawn_ms"] = page.evaluate("performance.now()")
    page.close()
    return found


if __name__ == "__main__":
    main()
