"""The browser, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
MISSING = [name for name, there in (("chromium", CHROMIUM), ("playwright", find_spec("playwright"))) if not there]


_FIRST_PAINT = """() => new Promise((resolve) => {
    const find = (entries) => entries.find((entry) => entry.name === "first-contentful-paint");
    new PerformanceObserver((list, observer) => {
        const found = find(list.getEntries());
        if (found) { observer.disconnect(); resolve(found.startTime); }
    }).observe({ type: "paint", buffered: true });
})"""


def first_paint_ms(page: Page) -> float:
    """When the page first showed something, in milliseconds since the navigation began; waits for it."""
    return page.evaluate(_FIRST_PAINT)


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, for as long as the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()
