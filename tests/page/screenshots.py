"""Pictures of the pages for the documents, with the demo's model: `make screenshots`."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser

from service.client import Client, Handle
from service.commands.demo import demo_settings, train_model
from service.commands.own_service import own_service
from service.contracts.presets import DEMO_MODEL
from tests.page.browser import launched

FOLDER = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 200_000  # of one picture
COLOURS = 128
ANALYSIS = {
    "model": DEMO_MODEL, "corpus": "python-docs", "sites": "all", "chunk_tokens": 32, "chunks": 1_200,
    "chunks_per_document": "all", "radius": {"statistics": True}, "energy": {"layers": "together"},
}  # fmt: skip
LONG = {"preset": "smoke/f1", "model": DEMO_MODEL, "chunks": 20_000, "chunks_per_document": "all", "reuse": False}
QUESTION = "The import statement finds a module and binds its name in the local namespace."
_PATIENCE_S, _PATIENCE_MS = 900, 120_000


@dataclass(frozen=True)
class Picture:
    """A page at one viewport size and colour scheme; the selector `ready` matches once the page is complete."""

    name: str
    path: str
    ready: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 800


def pictures(client: Client) -> list[Picture]:
    """The six pictures, of what the newest analysis came to."""
    job = next(job for job in client.jobs() if job.kind == "analysis" and job.state == "succeeded")
    found = {(made.type, made.site): made.id for made in job.results}
    last = found["radius", "final_norm_out"]
    layers = [made.id for made in job.results if made.type == "radius" and (made.site or "").endswith("resid_post")]
    profile = next(made.id for made in job.results if made.type == "profile")
    asked = urlencode({"set": found["activations", "final_norm_out"], "text": QUESTION})
    drawn = ".plot .main-svg"
    return [
        Picture("page-overview", "/", "tr[data-state=running] .amount:not(:empty)"),
        Picture("page-radius", f"/radius/{last}", drawn),
        Picture("page-compare", "/compare?" + urlencode({"report": layers[:3]}, doseq=True), drawn),
        Picture("page-profile", f"/profiles/{profile}", drawn),
        Picture("page-ask", f"/ask?{asked}", "#answer li"),
        Picture("page-phone", f"/radius/{last}", drawn, "dark", 360, 740),
    ]


def take(browser: Browser, url: str, picture: Picture, folder: Path) -> int:
    """Write one picture with few colours; returns its bytes.

    Raises:
        ValueError: it is larger than `MOST_BYTES`.
    """
    view: Any = {"width": picture.width, "height": picture.height}
    context = browser.new_context(viewport=view, color_scheme=picture.scheme)
    try:
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.goto(url + picture.path)
        page.wait_for_selector(picture.ready)
        page.evaluate("document.fonts.ready")
        shot = page.screenshot(animations="disabled")
    finally:
        context.close()
    target = folder / f"{picture.name}.png"
    with Image.open(io.BytesIO(shot)) as drawn:
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    size = target.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{target} has {size} bytes, more than {MOST_BYTES}")
    return size


def take_all(client: Client, url: str, folder: Path = FOLDER) -> None:
    """Write all pictures of a service that has an analysis, while another job runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with _running(client), launched() as browser:
        for picture in pictures(client):
            print(f"{picture.name}: {take(browser, url, picture, folder):,} bytes", flush=True)


@contextmanager
def _running(client: Client) -> Iterator[Handle]:
    """A job that runs and has progress to show."""
    job = client.submit("analysis", LONG)
    deadline = time.monotonic() + _PATIENCE_S
    while not client.job(job.id).progress.done:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job.id} makes no progress")
        time.sleep(0.2)
    try:
        yield job
    finally:
        client.cancel(job.id)


def main() -> None:
    """Measure on a service of our own, and look at its pages."""
    with demo_settings(None) as settings:
        settings.make_folders()
        train_model(settings)
        with own_service(settings) as service, Client(service.url) as client:
            client.submit("analysis", ANALYSIS).wait(timeout_s=_PATIENCE_S)
            take_all(client, service.url)


if __name__ == "__main__":
    main()
