"""`radius …` as a person types it."""

# One database: the output of commands.

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service import cli
from service.client import Finished
from tests.end_to_end.conftest import ON_SQLITE, Running


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Of the same entry point, without a new process for it."""
    monkeypatch.setattr(sys, "argv", ["radius", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def radius(*arguments: str, url: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    given = [*arguments, *(["--url", url] if url else [])]
    done = subprocess.run([sys.executable, "-m", "service.cli", *given], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@ON_SQLITE
def test_submit_watch_and_report(service: Running, tmp_path: Path):
    settings = ["--set", "model=tiny", "--set", "chunks=60", "--set", "chunk_tokens=16", "--set", "radius.k=2"]
    job = json.loads(radius("submit", "analysis", "--preset", "smoke/f1", *settings, "--json", url=service.url).stdout)
    assert job["spec"]["radius"]["k"] == 2
    watched = json.loads(radius("watch", job["id"], "--json", url=service.url).stdout)
    assert watched["state"] == "succeeded"
    report_id = watched["results"][-1]["id"]
    figure = tmp_path / "figure.svg"
    shown = radius("report", report_id, "--figure", str(figure), url=service.url).stdout
    assert "NN mean" in shown
    assert "100%" in shown
    assert figure.read_bytes().startswith(b"<?xml")
    assert json.loads(radius("report", report_id, "--json", url=service.url).stdout)["id"] == report_id


@pytest.mark.long
@ON_SQLITE
def test_jobs_lists_the_newest_first(service: Running, analysis: Finished):
    listed = json.loads(radius("jobs", "--limit", "3", "--json", url=service.url).stdout)
    assert len(listed) <= 3
    assert [job["id"] for job in listed] == sorted((job["id"] for job in listed), reverse=True)
    assert analysis.job.kind in radius("jobs", url=service.url).stdout


@ON_SQLITE
def test_import_takes_a_file(service: Running, tmp_path: Path):
    np.save(tmp_path / "mine.npy", np.eye(5, dtype=np.float32))
    assert "5 rows, d_model 5, float32" in radius("import", str(tmp_path / "mine.npy"), url=service.url).stdout


@ON_SQLITE
def test_refused_input_exits_with_2_and_names_the_field(service: Running):
    done = radius("submit", "analysis", "--set", "model=tiny", url=service.url, code=2)
    assert "spec.corpus" in done.stderr


@ON_SQLITE
def test_an_unknown_report_exits_with_2(service: Running, monkeypatch: pytest.MonkeyPatch):
    assert exit_code(monkeypatch, "report", "radius-none", "--url", service.url) == 2


@ON_SQLITE
def test_a_failed_job_exits_with_1(service: Running):
    settings = ["--set", "model=no-such", "--set", "corpus=python-docs"]
    done = radius("submit", "extraction", *settings, "--watch", url=service.url, code=1)
    assert "no such folder" in done.stderr
    assert service.client.job(done.stdout.strip()).state == "failed"


def test_a_service_that_is_away_exits_with_3(monkeypatch: pytest.MonkeyPatch):
    assert exit_code(monkeypatch, "jobs", "--url", "http://127.0.0.1:9") == 3


@pytest.mark.parametrize(("given", "expected"), [([], "cuda:1"), (["--device", "cpu"], "cpu")])
def test_a_worker_takes_its_device_from_the_environment_unless_told(
    monkeypatch: pytest.MonkeyPatch, given: list[str], expected: str
):
    seen: dict[str, str] = {}
    monkeypatch.setenv("RADIUS_DEVICE", "cuda:1")
    monkeypatch.setattr("os.execve", lambda path, command, environment: seen.update(environment))
    assert exit_code(monkeypatch, "worker", "--role", "compute", *given) == 0
    assert seen["RADIUS_DEVICE"] == expected


@pytest.mark.long
def test_doctor_checks_devices_and_a_search():
    found = {row["check"]: row for row in json.loads(radius("doctor", "--json").stdout)}
    assert found["search of 100 vectors"]["ok"]
    assert found["device cpu"]["ok"]
    assert found["faiss"]["ok"]


@pytest.mark.long
def test_an_address_that_is_not_loopback_is_refused(tmp_path: Path):
    done = radius("up", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path), code=2)
    assert "loopback" in done.stderr


@pytest.mark.parametrize("arguments", [["up", "--port", "99999"], ["submit"], ["nonsense"]])
def test_wrong_usage_exits_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    assert exit_code(monkeypatch, *arguments) == 2


@pytest.mark.long
@ON_SQLITE
def test_an_estimate_is_shown_and_says_what_does_not_fit(service: Running):
    asked = ["estimate", "training", "--preset", "smoke/f2"]
    shown = radius(*asked, url=service.url).stdout
    assert "train" in shown
    assert "disk" in shown
    large = ["--set", "model.d_model=65536", "--set", "model.n_layers=200"]
    assert "does not fit" in radius(*asked, *large, url=service.url, code=1).stdout
