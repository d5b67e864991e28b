"""Pages of an API process alone: its end and its return, a key that a person types, a path below a proxy's."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, expect

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.ids import new_id
from service.keys import create_key
from tests.benchmarks.event_streams import process_at, server
from tests.databases.migrated import sqlite_settings

Open = Callable[..., Page]
PATIENCE_MS = 60_000


class Job:
    """A job whose only segment this test works on."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self.id = catalog, new_id("job")
        row = {"id": self.id, "kind": "radius", "spec": {"activations": "none"}, "priority": 50, "labels": {}}
        with catalog.begin() as connection:
            jobs.insert(connection, row)
            jobs.start(connection, self.id)
            jobs.set_total(connection, self.id, 100, "rows")
            self._attempt = segments.claim(connection, job_id=self.id, name="part", stage="search", worker="this test")

    def advance(self, done: int) -> None:
        with self._catalog.begin() as connection:
            segments.tick(connection, self.id, "part", self._attempt, done=done)

    def finish(self) -> None:
        with self._catalog.begin() as connection:
            jobs.finish(connection, self.id, "succeeded")


def test_a_bar_goes_on_when_the_service_is_back(open_url: Open, tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data")
    with closing(Catalog(settings.resolved_database_url)) as catalog, socket.create_server(("127.0.0.1", 0)) as at:
        job = Job(catalog)
        bar, away = "progress", "The service does not answer"
        with process_at(at, settings) as process:
            page = open_url(f"http://127.0.0.1:{at.getsockname()[1]}/jobs/{job.id}", refused=True)
            page.evaluate("window.loaded = 'once'")
            job.advance(10)
            expect(page.locator(bar)).to_have_attribute("value", "10", timeout=PATIENCE_MS)
            process.kill()
        expect(page.locator("#away")).to_contain_text(away, timeout=PATIENCE_MS)
        job.advance(60)
        with process_at(at, settings):
            expect(page.locator(bar)).to_have_attribute("value", "60", timeout=PATIENCE_MS)
            expect(page.locator("#away")).to_be_empty()
            job.finish()
            expect(page.locator(".state")).to_have_text("succeeded", timeout=PATIENCE_MS)
            expect(page.get_by_role("button", name="Delete")).to_be_visible()
            assert page.locator("#events li").all_inner_texts() == _told_once(page)
            assert page.evaluate("window.loaded") == "once", "the page was not loaded anew"


def _told_once(page: Page) -> list[str]:
    """The events, had each been told once."""
    return list(dict.fromkeys(page.locator("#events li").all_inner_texts()))


def test_a_person_logs_in_below_a_path_and_leaves(open_url: Open, tmp_path: Path):
    keys = tmp_path / "keys"
    key = create_key(keys, "person")
    settings = sqlite_settings(tmp_path / "data", root_path="/radius", api_keys_file=keys)
    with server(settings) as port:
        root = f"http://127.0.0.1:{port}/radius"
        page = open_url(f"{root}/jobs?state=queued", refused=True)
        assert page.url == f"{root}/login?next=%2Fjobs%3Fstate%3Dqueued"
        for typed in ("radius_wrong", key):
            page.get_by_label("API key").fill(typed)
            page.keyboard.press("Enter")
            if typed != key:
                expect(page.get_by_role("alert")).to_have_text("This is no valid key.")
        page.wait_for_url(f"{root}/jobs?state=queued")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("link", name="Overview").click()
        page.locator("[name=preset]").select_option("smoke/f2")
        page.get_by_role("button", name="Start").click()
        page.wait_for_url(re.compile(f"{root}/jobs/job-"))
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".state")).to_have_text(re.compile("cancel"), timeout=PATIENCE_MS)
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{root}/login")
        page.goto(f"{root}/jobs")
        assert page.url.startswith(f"{root}/login")
