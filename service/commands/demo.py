"""`radius demo`: the main job end to end, offline, on real text."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.client import Client, Finished
from service.commands.energies import print_query
from service.commands.output import console, say, wait_with_bar
from service.commands.own_service import link_below, own_service
from service.commands.radius import essential_lines, report_table
from service.commands.reports import Report, print_any_report
from service.contracts.energy_report import EnergyReport
from service.contracts.presets import DEMO_MODEL
from service.contracts.radius import FIGURE_FORMATS, RadiusReport
from service.errors import InvalidInput, RadiusError
from service.processes import module_command
from service.settings import Settings

SITES = ["blocks.-1.hook_resid_post", "final_norm_out"]
_NEXT = (  # within 80 columns
    ("make up", "the service, and its page"),
    ("make demo MODEL=FOLDER CORPUS=FOLDER", "your model and texts"),
    ("radius submit analysis --preset smoke/f1 --watch", "the same, as a job there"),
    ('radius query SET "a sentence"', "its nearest rows"),
)
_WIDTH = max(len(command) for command, _ in _NEXT)
_QUESTION = "The import statement finds a module and binds its name in the local namespace."


@dataclass(frozen=True)
class Demo:
    """The options; None means the built-in: a small GPT-2 that is trained first, the Python language reference."""

    model: str | None
    corpus: str | None
    chunks: int
    chunk_tokens: int
    out: Path


def run_demo(demo: Demo, settings: Settings) -> dict[str, Any]:
    """Start a service on a free port, run the analysis through REST, print one screen of results, stop the service.

    Returns:
        `{"job", "reports", "files", "seconds"}`.
    """
    began = time.monotonic()
    settings.make_folders()
    model = DEMO_MODEL if demo.model is None else link_below(Path(demo.model), settings.models_root) or demo.model
    corpus = "python-docs" if demo.corpus is None else link_below(Path(demo.corpus), settings.corpora_root)
    if corpus is None:
        raise InvalidInput(
            f"{demo.corpus} is not a file or folder; --corpus (CORPUS of make) takes one", field="corpus"
        )
    with own_service(settings) as supervisor, Client(supervisor.url) as client:
        say(f"service at {supervisor.url}, data in {settings.data_dir}")
        if demo.corpus is not None:
            corpus = client.register_corpus(path=corpus).id
        if demo.model is None:
            train_model(settings)
        say(f"{demo.chunks:,} chunks of {demo.chunk_tokens} tokens at {len(SITES)} sites; service at {supervisor.url}")
        spec = {
            "model": model,
            "corpus": corpus,
            "sites": SITES,
            "chunk_tokens": demo.chunk_tokens,
            "chunks": demo.chunks,
            "chunks_per_document": "all",
            "radius": {"statistics": True},
            "energy": {"beta": [1.0]},
        }
        finished = wait_with_bar(client.submit("analysis", spec), supervisor.check)
        shown = _show(client, finished, demo.out)
    seconds = time.monotonic() - began
    kept = f"; the model stays in {settings.models_root}" if demo.model is None else ""
    say(f"done in {seconds:.0f} s{kept}")
    _say_next()
    return shown | {"seconds": seconds}


def _show(client: Client, finished: Finished, out: Path) -> dict[str, Any]:
    """Print what fits one screen, query the last set once, and write everything else to files in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    kept: list[Path] = []
    reports = [client.radius(report_id) for report_id in finished.reports]
    energies = [client.energy(report_id) for report_id in finished.energies]
    for report in reports:
        console.print(report_table(report))
        kept += _keep(client, report.id, report, out / f"radius-{_stem(report.site)}")
    for word, line in essential_lines(reports[-1]):
        say(line, word, "green")
    for found in energies:
        kept += _keep(client, found.id, found, out / f"energy-{_stem(found.layers[0].site)}")
    print_query(client.query(finished.activations[-1], texts=[_QUESTION], k=3), [_QUESTION])
    for warning in finished.job.warnings:
        if warning.code.startswith("fewer"):
            say(warning.message, "note", "yellow")
    kept.append(_write_whole(out / "reports.txt", [*reports, *energies]))
    for path in kept:
        if path.suffix == ".png":
            say(str(path))
    say(f"{kept[-1]}: all tables; beside it every report as .json, every figure as .svg and .pdf")
    return {"job": finished.job.id, "reports": finished.reports, "files": [str(path) for path in kept]}


def _write_whole(path: Path, found: Sequence[Report]) -> Path:
    """Write what `radius report` prints of each report."""
    with console.capture() as printed:
        for report in found:
            print_any_report(report)
    path.write_text(printed.get(), encoding="utf-8")
    return path


def _say_next() -> None:
    """Print the commands that a reader may try next."""
    say("Next:")
    for command, does in _NEXT:
        say(f"  {command:<{_WIDTH}}  {does}")


def _keep(client: Client, report_id: str, report: RadiusReport | EnergyReport, stem: Path) -> list[Path]:
    """Write a report's figure in every format, and the report; returns the paths."""
    paths = [stem.with_suffix(f".{ending}") for ending in FIGURE_FORMATS]
    for path in paths:
        path.write_bytes(client.figure(report_id, path.suffix.removeprefix(".")))
    paths.append(stem.with_suffix(".json"))
    paths[-1].write_text(report.model_dump_json(indent=1))
    return paths


def _stem(site: str | None) -> str:
    return (site or "set").replace(".", "-")


def train_model(settings: Settings) -> None:
    """Train the demo's model below the models root, where it is not there yet.

    Raises:
        RadiusError: the training failed.
    """
    if (settings.models_root / DEMO_MODEL / "config.json").exists():
        say(f"using the model in {settings.models_root / DEMO_MODEL}")
        return
    say("training a GPT-2 of 4 million parameters on Python's language reference: about a minute, once")
    environment = os.environ | {
        "RADIUS_DATA_DIR": str(settings.data_dir),
        "RADIUS_MODELS_DIR": str(settings.models_root),
    }
    command = module_command("workers.training.small_gpt2", "--out", DEMO_MODEL)
    if subprocess.run(command, env=environment, check=False).returncode != 0:
        raise RadiusError("the small model could not be trained; its output is above")


@contextmanager
def demo_settings(data_dir: Path | None) -> Iterator[Settings]:
    """Settings with a free port, without keys, in `data_dir` or in a temporary folder that is removed afterwards.

    Models are in the models root of the environment, so that `radius up` has the one that is trained here.
    """
    if data_dir is not None:
        yield Settings(port=0, api_keys_file=None, data_dir=data_dir)
        return
    folder = Path(tempfile.mkdtemp(prefix="radius-demo-"))
    try:
        yield Settings(port=0, api_keys_file=None, data_dir=folder, models_dir=Settings().models_root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
