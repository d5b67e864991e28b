"""What a person does: start, watch, cancel, delete, upload, ask, compare, compute, log in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Service

Open = Callable[..., Page]
PATIENCE_MS = 60_000


def start(page: Page, overrides: str) -> None:
    page.locator("[name=preset]").select_option("smoke/f1")
    page.locator("[name=model]").fill("tiny")
    page.get_by_text("The whole spec").click()
    page.locator("[name=overrides]").fill(overrides)
    page.get_by_role("button", name="Start").click()


def test_an_analysis_is_started_and_followed_to_its_end(open_page: Open):
    page = open_page("/")
    start(page, '{"chunks": 200, "chunk_tokens": 16, "radius": {"fractions": [1.0]}, "energy": null, "reuse": false}')
    page.wait_for_url(re.compile("/jobs/job-"))
    moved = page.evaluate(
        """() => new Promise(resolve => {
            const bar = document.querySelector("progress");
            new MutationObserver(() => resolve(true)).observe(bar.closest("section"), {
                subtree: true, attributes: true, childList: true, characterData: true });
        })"""
    )
    assert moved, "the bar moves without reloading"
    expect(page.locator(".state").first).to_have_text("succeeded", timeout=PATIENCE_MS)
    page.get_by_role("link", name=re.compile("^radius")).first.click()
    expect(page.get_by_text("how far", exact=True)).to_be_visible()


@pytest.mark.long
def test_an_estimate_says_what_it_would_take(open_page: Open):
    page = open_page("/")
    page.locator("[name=model]").fill("tiny")
    page.get_by_role("button", name="Estimate").click()
    expect(page.locator("#answer")).to_contain_text("it fits", timeout=PATIENCE_MS)


@pytest.mark.long
def test_a_job_says_what_another_like_it_would_take(open_page: Open, results: dict[str, str]):
    page = open_page(results["job"])
    page.get_by_role("button", name="Estimate").click()
    expect(page.locator("section output").first).to_contain_text("it fits", timeout=PATIENCE_MS)


def test_a_wrong_spec_is_said_beside_the_form(open_page: Open):
    page = open_page("/")
    start(page, '{"chunks": ')
    expect(page.get_by_role("alert")).to_contain_text("the spec is not JSON")


def test_a_job_is_cancelled_and_deleted(open_page: Open, service: Service):
    job = service.client.submit("analysis", {"preset": "smoke/f1", "model": "tiny", "chunks": 100_000, "reuse": False})
    page = open_page(f"/jobs/{job.id}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".state").first).to_have_text("cancelled", timeout=PATIENCE_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile("/jobs$"))
    assert all(one.id != job.id for one in service.client.jobs())


def test_an_upload_of_100_mb_shows_its_progress(open_page: Open, tmp_path: Path):
    file = tmp_path / "vectors.npy"
    np.save(file, np.zeros((100 * 2**20 // 1024, 256), dtype=np.float32))
    page, said = open_page("/activations"), list[str]()
    page.expose_function("said", lambda text: said.append(text))
    page.evaluate(
        """() => {
            const output = document.querySelector("form.upload output");
            new MutationObserver(() => said(output.textContent)).observe(output, { childList: true });
        }"""
    )
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Name").fill("large")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("link", name="large")).to_be_visible(timeout=PATIENCE_MS)
    shares = [int(text.removesuffix(" %")) for text in said if text.endswith(" %")]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 100


def test_a_sentence_finds_its_memories(open_page: Open, results: dict[str, str]):
    page = open_page(results["activations"].replace("/activations/", "/ask?set="))
    page.get_by_label("Sentence").fill("The import statement binds a name.")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer li")).to_have_count(10, timeout=PATIENCE_MS)
    expect(page.locator("#answer")).to_contain_text("Nearest memory at")
    page.reload()
    expect(page.locator("#answer li")).to_have_count(10, timeout=PATIENCE_MS)


def test_two_reports_are_compared(open_page: Open, results: dict[str, str]):
    page = open_page("/radius")
    for box in page.get_by_role("checkbox").all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare the chosen").click()
    page.wait_for_selector(".plot .main-svg")
    expect(page.get_by_role("row", name=re.compile("mean distance"))).to_be_visible()
    assert page.url.count("report=") == 2


def test_the_calculator_keeps_its_numbers_in_the_address(open_page: Open):
    page = open_page("/theory?n=1024&d=80000#radius", refused=True)
    expect(page.locator("#radius output")).to_contain_text("7.7430632")
    page.locator("#radius").get_by_label(re.compile("^n")).fill("-1")
    page.locator("#radius").get_by_role("button").click()
    expect(page.locator("#radius").get_by_role("alert")).to_contain_text("n:")
