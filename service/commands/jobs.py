"""`radius events | logs | delete | open`: what happened to a job, and what is done with its products."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from service.client import Client
from service.client.calls import NOUNS
from service.commands.guesses import expect
from service.commands.options import AsJson, Url, open_client, service_url
from service.commands.output import console, say
from service.contracts.jobs import Job, JobEvent
from service.errors import InvalidInput
from service.settings import Settings

JobId = Annotated[str, typer.Argument(help="a job: job-…")]
_PAGES = NOUNS | {"job": "jobs", "act": "activations", "radius": "radius", "reproduction": "reproductions"}


def events(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", help="show further events until the job has ended")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to a job, oldest first; with --json an object a line."""
    expect(job_id, "job")
    with open_client(url) as client:
        for event in client.follow(job_id) if follow else _all_events(client, job_id):
            if as_json:
                print(event.model_dump_json())
            else:
                data = json.dumps(event.data, ensure_ascii=False) if event.data else ""
                say(f"{event.created_at:%H:%M:%S} {event.type} {data}".rstrip())


def logs(
    process: Annotated[str | None, typer.Argument(help="api, control, compute or query; default: all")] = None,
    lines: Annotated[int, typer.Option(min=1, help="lines of each log, from its end")] = 20,
) -> None:
    """Show the end of the logs that `radius up` writes on this machine."""
    folder = Settings().data_dir / "logs"
    found = [path for path in sorted(folder.glob("*.log")) if process in (None, path.stem, path.stem.partition("-")[0])]
    if not found:
        which = "no logs" if process is None else f"no log of {process}"
        raise InvalidInput(
            f"{which} in {folder}: `radius up` writes them there. Set RADIUS_DATA_DIR to its data directory; in "
            "containers use `docker compose logs`"
        )
    for path in found:
        say(str(path), "==>", "bold")
        for line in _last(path, lines):
            console.print(line, soft_wrap=True)


def delete(
    object_id: Annotated[str, typer.Argument(help="a job that has ended, or a corpus")], url: Url = None
) -> None:
    """Delete a job with its products and their files, or a corpus."""
    kind = object_id.split("-", 1)[0]
    with open_client(url) as client:
        if kind == "job":
            client.delete_job(object_id)
        elif kind == "corpus":
            client.delete_corpus(object_id)
        else:
            raise InvalidInput("give the id of a job (job-…) or of a corpus (corpus-…); a job's products go with it")
    say(f"deleted {object_id}")


def open_page(
    object_id: Annotated[
        str | None, typer.Argument(help="a job, an activation set, a report, a run or a sweep; default: the overview")
    ] = None,
    url: Url = None,
) -> None:
    """Open the page of an object in the browser, and print its address."""
    page = f"{service_url(url)}/{'' if object_id is None else _page_path(object_id)}"
    say(page)
    webbrowser.open(page)


def reports_of(job: Job) -> list[str]:
    """Ids of the products of a job that `radius report` shows.

    Raises:
        InvalidInput: there is none yet.
    """
    found = [result.id for result in job.results if result.type != "activations"]
    if not found:
        why = f"; `radius watch {job.id}` follows it" if job.error is None else f": {job.error['detail']}"
        raise InvalidInput(f"{job.id} is {job.state} and has no report{why}")
    return found


def print_products(job: Job) -> None:
    """Print type, site and id of each product, the id last so that it can be copied."""
    for result in job.results:
        say(" ".join(part for part in (result.type, result.site, result.id) if part))


def _page_path(object_id: str) -> str:
    kind = object_id.split("-", 1)[0]
    if kind not in _PAGES:
        raise InvalidInput(f"give the id of an object that has a page: {', '.join(f'{kind}-…' for kind in _PAGES)}")
    return f"{_PAGES[kind]}/{object_id}"


def _all_events(client: Client, job_id: str) -> list[JobEvent]:
    found: list[JobEvent] = []
    while page := client.events(job_id, after=found[-1].id if found else 0):
        found += page
    return found


def _last(path: Path, lines: int) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-lines:]
