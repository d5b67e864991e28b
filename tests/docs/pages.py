"""The reference pages that are generated from code. `python -m tests.docs.pages` (`make docs`) renews them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.docs.command_pages import command_line_page
from tests.docs.field_tables import reports_page, settings_page, specs_page
from tests.docs.rest_page import rest_page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Generated from the code by `make docs`: edit the code. -->\n\n"
PAGES: dict[str, Callable[[], str]] = {
    "command-line.md": command_line_page,
    "reports.md": reports_page,
    "rest.md": rest_page,
    "settings.md": settings_page,
    "specs.md": specs_page,
}


def generated(name: str) -> str:
    """The text of a page."""
    return NOTE + PAGES[name]()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        (FOLDER / page).write_text(generated(page), encoding="utf-8")
