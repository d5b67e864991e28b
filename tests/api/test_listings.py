"""The client and the command line list what a service has, page by page, and say what is missing."""

# One database: the output of commands.

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from service import __version__, cli
from service.catalog import jobs
from service.client import AsyncClient, Client
from service.commands.jobs import reports_of
from service.commands.output import console
from service.contracts.jobs import SPECS
from service.contracts.spec_fields import field_rows
from service.errors import InvalidInput, Unauthorized
from service.keys import create_key
from tests.api.serving import Server
from tests.api.support import EXTRACTION, ON_SQLITE

pytestmark = ON_SQLITE


@pytest.fixture
def radius(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`radius …` in this process, at 80 columns: the exit code, standard output and standard error."""
    monkeypatch.setenv("RADIUS_URL", server.url)
    monkeypatch.setattr(console, "width", 80)

    def run(*arguments: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["radius", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return run


def test_a_failed_job_has_its_error_instead_of_reports(server: Server):
    with Client(server.url) as client:
        job = client.submit("extraction", EXTRACTION).get()
    failed = job.model_copy(update={"state": "failed", "error": {"code": "invalid_input", "detail": "no such folder"}})
    for made, why in ((failed, "is failed and has no report: no such folder"), (job, "`radius watch job-")):
        with pytest.raises(InvalidInput, match=why):
            reports_of(made)


def test_the_version_is_an_option_too(radius):
    assert radius("--version") == radius("version") == (0, f"{__version__}\n", "")


def test_every_noun_is_listed(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADIUS_URL", server.url)
    with Client() as client:
        client.import_vectors(np.eye(3), "mine")
        assert {made.id for made in client.activation_sets()} >= {server.published.activations}
        assert [report.id for report in client.radius_reports()] == [server.published.report]
        assert "python-docs" in {corpus.name for corpus in client.corpora()}
        assert len(list(client.presets())) > 20
        empty = (client.models, client.energy_reports, client.profiles, client.trainings, client.sweeps)
        assert [list(noun()) for noun in empty] == [[]] * 5


def test_jobs_are_chosen_by_kind_and_state(server: Server, radius):
    with Client(server.url) as client:
        made = client.submit("extraction", EXTRACTION, timeout_s=99)
        assert made.get().timeout_s == 99
        assert made.id in {job.id for job in client.jobs(kind="extraction", state="queued")}
        assert made.id not in {job.id for job in client.jobs(limit=1, state="succeeded")}
    code, out, _ = radius("jobs", "--kind", "extraction", "--state", "queued")
    assert code == 0
    assert made.id in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_a_submitted_job_has_what_the_options_say(server: Server, radius):
    spec = [part for name, value in EXTRACTION.items() for part in ("--set", f"{name}={value}")]
    options = ["--label", "who=me", "--priority", "7", "--timeout", "60", "--idempotency-key", "once"]
    first = radius("submit", "extraction", *spec, *options)
    assert radius("submit", "extraction", *spec, *options) == first
    with Client(server.url) as client:
        job = client.job(first[1].strip())
    assert (job.labels, job.priority, job.timeout_s) == ({"who": "me"}, 7, 60)
    assert radius("submit", "extraction", *spec, "--label", "alone")[0] == 2


def test_events_are_shown_and_a_job_is_deleted(server: Server, radius):
    with Client(server.url) as client:
        job_id = client.submit("extraction", EXTRACTION).id
    with server.catalog.begin() as connection:
        jobs.request_cancel(connection, job_id)
        jobs.finish(connection, job_id, "cancelled")
    code, out, _ = radius("events", job_id, "--follow", "--json")
    assert (code, json.loads(out.splitlines()[0])["type"]) == (0, "queued")
    assert radius("delete", job_id)[0] == 0
    code, _, err = radius("events", job_id)
    assert (code, "no such job" in err) == (2, True)
    assert radius("delete", "radius-1")[0] == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("status", "Did you mean `radius jobs`?"),
        ("ask SET question", "Did you mean `radius query`?"),
        ("watch radius-1", "radius-1 is a radius report, not a job: `radius report radius-1`"),
        ("query job-1 question", "job-1 is a job, not an activation set: `radius watch job-1`"),
        ("report act-1", "act-1 is an activation set, not a radius report"),
        ("cancel job-1", "no such job; `radius jobs` lists what there is"),
        ("query SET question", "no such activation set; `radius sets` lists what there is"),
        ("submit analysis --preset smoke/descend", "no such preset; the nearest is smoke/descent"),
        ("jobs --url localhost:8000", "must be http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:8000"),
        ("demo --corpus nothing.txt --data-dir data", "nothing.txt is not a file or folder"),
    ],
)
def test_a_wrong_guess_is_answered_with_the_right_command(
    typed: str, said: str, radius, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    code, _, err = radius(*typed.split())
    assert code == 2
    assert said in err


@pytest.mark.parametrize("command", ["corpora", "models", "presets", "sets"])
def test_a_listing_fits_80_columns_and_is_json_too(command: str, radius):
    code, out, _ = radius(command)
    assert code == 0
    assert command == "models" or max(len(line) for line in out.splitlines()) <= 80  # without models a sentence
    code, out, _ = radius(command, "--json")
    assert code == 0
    assert isinstance(json.loads(out), list)


def test_the_report_of_a_job_is_found_and_its_figure_named(server: Server, radius, tmp_path: Path):
    code, out, _ = radius("report", server.published.report)
    assert (code, "NN mean" in out) == (0, True)
    code, _, err = radius("report", server.published.report, "--figure", str(tmp_path / "a.bmp"))
    assert (code, "--figure must end in .png, .svg or .pdf" in err) == (2, True)
    code, out, _ = radius("report", server.published.job, "--json")
    assert (code, [report["id"] for report in json.loads(out)]) == (0, [server.published.report])


def test_the_fields_of_a_kind_are_listed_with_default_and_meaning(radius):
    assert [row for specs in SPECS.values() for spec in specs for row in field_rows(spec) if not row.meaning] == []
    code, out, _ = radius("submit", "analysis", "--help-spec")
    assert code == 0
    assert all(name in out for name in ("chunks_per_document", "radius.transform", "position", "energy.layers"))
    assert radius("submit", "nothing", "--help-spec")[0] == 2


def test_what_is_away_is_named_with_what_to_do(radius, unused_url: str):
    code, _, err = radius("jobs", "--url", unused_url)
    assert code == 3
    assert unused_url in err
    assert "radius up" in err


def test_no_logs_are_said_with_their_folder(radius, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RADIUS_DATA_DIR", str(tmp_path))
    code, _, err = radius("logs", "compute")
    assert (code, str(tmp_path) in err) == (2, True)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "compute.log").write_text("one\ntwo\nthree\n")
    code, out, _ = radius("logs", "--lines", "2")
    assert (code, out.splitlines()[-2:]) == (0, ["two", "three"])
    for name in ("compute-0", "compute-1"):
        (tmp_path / "logs" / f"{name}.log").write_text(f"of {name}\n")
    assert [line for line in radius("logs", "compute")[1].splitlines() if line.startswith("of ")] == [
        "of compute-0",
        "of compute-1",
    ]
    assert "of compute-0" not in radius("logs", "compute-1")[1]


def test_a_missing_or_wrong_key_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests.api.serving import serve  # with a file of keys
    from tests.databases.migrated import sqlite_settings

    settings = sqlite_settings(tmp_path / "data", api_keys_file=tmp_path / "keys")
    key = create_key(tmp_path / "keys", "me")
    with serve(settings, server.published) as guarded:
        for given, message in (("", "set RADIUS_API_KEY"), ("wrong", "refused the API key")):
            monkeypatch.setenv("RADIUS_API_KEY", given)
            with Client(guarded.url) as client, pytest.raises(Unauthorized, match=message):
                client.job("job-0")
        monkeypatch.setenv("RADIUS_API_KEY", key)
        with Client(guarded.url) as client:
            assert list(client.jobs()) == []


def test_a_report_shows_itself(server: Server):
    with Client(server.url) as client:
        report = client.radius(server.published.report)
        frame = report.to_frame()
        assert len(repr(report)) < 200
        assert server.published.report in repr(report)
        assert frame["nn_distance_mean"].iloc[-1] == report.fractions[-1].nn_distance.mean  # pyright: ignore
        assert "data:image/png;base64" in report._repr_html_()
    assert "<table>" in report._repr_html_()


def test_a_submitted_job_can_be_awaited(server: Server):
    async def main() -> None:
        async with AsyncClient(server.url) as client:
            job = await client.submit("extraction", EXTRACTION)
            with server.catalog.begin() as connection:
                jobs.finish(connection, job.id, "succeeded")
            assert (await job.wait(timeout_s=30)).job.id == (await job).job.id == job.id

    asyncio.run(main())
