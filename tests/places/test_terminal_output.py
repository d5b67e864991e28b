"""Names, paths and texts of users are printed as they are, and no path is wrapped."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from service.commands import output
from service.commands.output import say

ODD = ["x[/y]", "run[1] [draft]", "[bold]no[/bold]", "/data/" + "long-" * 60, ":smile:", "[/]", "a\\[b]"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed on a terminal of 40 columns."""
    written = io.StringIO()
    made = Console(file=written, width=40, markup=output.console._markup, emoji=output.console._emoji, highlight=False)
    monkeypatch.setattr(output, "console", made)
    return written


@pytest.mark.parametrize("console", [output.console, output.errors])
def test_no_console_reads_markup(console: Console):
    for text in ODD:
        assert console.render_str(text).plain == text


@pytest.mark.parametrize("text", ODD)
def test_a_line_is_printed_as_it_is(narrow: io.StringIO, text: str):
    say(text, to=output.console)
    say(text, "note", "yellow", to=output.console)
    assert narrow.getvalue() == f"{text}\nnote {text}\n"
