"""`radius reproduce`: the paper's claims, each with a verdict, in one report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from service.client import Client, Handle
from service.commands.estimates import print_estimate
from service.commands.output import console, say, wait_with_bar
from service.commands.own_service import answers, link_below, own_service
from service.commands.verdicts import print_reproduction
from service.compute_workers import one_for_each_core
from service.contracts.jobs import OPEN_STATES
from service.contracts.reproduction import REPORT_FORMATS, ReproductionReport
from service.errors import InvalidInput, NotFound
from service.reproduction.comparison import ClaimChange, compare
from service.reproduction.words import value_text
from service.settings import Settings

_EVIDENCE = "evidence"


@dataclass(frozen=True)
class Reproduction:
    """The arguments of the command; `model` and `corpus` are names, or paths where a service of its own is started.

    Attributes:
        against: a `report.json` to compare with.
        out: folder of the report.
    """

    scale: str
    model: str | None
    corpus: str | None
    claims: list[str] | None
    seed: int
    out: Path
    against: Path | None


def reproduce(asked: Reproduction, url: str, settings: Settings, api_key: str | None = None) -> dict[str, Any]:
    """Run the reproduction at `url`, or by a service of its own where none answers; write the report, print the table.

    Returns:
        `{"job", "report", "verdicts", "files"}`.
    """
    before = None if asked.against is None else read_report(asked.against)
    if answers(url):
        with Client(url, api_key=api_key) as client:
            report, files = _run(client, _spec(asked), asked.out, lambda: None)
    else:
        settings.make_folders()
        with own_service(one_for_each_core(settings)) as supervisor, Client(supervisor.url) as client:
            say(f"service at {supervisor.url}, data in {settings.data_dir}")
            report, files = _run(client, _local_spec(asked, client, settings), asked.out, supervisor.check)
    print_reproduction(report)
    if before is not None:
        _print_changes(compare(before, report))
    say(f"report: {asked.out / 'report.html'}")
    verdicts = {claim.id: claim.verdict for claim in report.claims}
    return {"job": report.job, "report": report.id, "verdicts": verdicts, "files": [str(path) for path in files]}


def read_report(path: Path) -> ReproductionReport:
    """The report in a file, or in the `report.json` of a folder; raises `InvalidInput` for another file."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return ReproductionReport.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{file} is not the report.json of a reproduction", field="against") from error


def _run(
    client: Client, spec: dict[str, Any], out: Path, check: Callable[[], None]
) -> tuple[ReproductionReport, list[Path]]:
    if spec["scale"] == "paper":
        print_estimate(client.estimate("reproduction", spec))
    handle = _open_job(client, spec) or client.submit("reproduction", spec)
    say(f"job {handle.id}")
    finished = wait_with_bar(handle, check)
    report_id = next(result.id for result in finished.job.results if result.type == "reproduction")
    report = client.reproduction(report_id)
    return report, _keep(client, report, out)


def _open_job(client: Client, spec: dict[str, Any]) -> Handle | None:
    """A reproduction of the same spec that has not ended: the command was interrupted before."""
    for job in client.jobs():
        asked = {name: value for name, value in job.spec.items() if value is not None}
        if job.kind == "reproduction" and job.state in OPEN_STATES and asked == spec:
            return Handle(client, job.id)
    return None


def _spec(asked: Reproduction) -> dict[str, Any]:
    given = {"model": asked.model, "corpus": asked.corpus, "claims": asked.claims}
    return {"scale": asked.scale, "seed": asked.seed} | {name: value for name, value in given.items() if value}


def _local_spec(asked: Reproduction, client: Client, settings: Settings) -> dict[str, Any]:
    """The spec with local paths made visible to the service."""
    spec = _spec(asked)
    if asked.model is not None:
        spec["model"] = link_below(Path(asked.model), settings.models_root) or asked.model
    if asked.corpus is not None and (below := link_below(Path(asked.corpus), settings.corpora_root)) is not None:
        spec["corpus"] = client.register_corpus(path=below).id
    return spec


def _keep(client: Client, report: ReproductionReport, out: Path) -> list[Path]:
    """Write the three forms of the report into `out`, all else below `evidence`; returns the paths."""
    evidence = out / _EVIDENCE
    evidence.mkdir(parents=True, exist_ok=True)
    kept: list[Path] = []

    def keep(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        kept.append(path)

    for ending in REPORT_FORMATS:
        keep(out / f"report.{ending}", client.reproduction_document(report.id, ending))
    for claim in report.claims:
        if claim.chart is not None and not claim.chart.is_empty:  # as reports of earlier versions may be
            keep(evidence / f"figure-{claim.id}.svg", client.reproduction_figure(report.id, claim.id))
    for run in report.runs:
        if run.job is None:
            continue
        try:
            keep(evidence / f"{run.part}-{run.job}.json", client.job(run.job).model_dump_json(indent=1).encode())
        except NotFound:
            say(f"{run.job} is gone", "note", "yellow")
    return kept


def _print_changes(changes: list[ClaimChange]) -> None:
    """The claims whose verdicts or numbers differ between two reports."""
    table = Table(title="changes against the other report", title_justify="left", box=None)
    for name in ("claim", "verdict before", "after", "measured before", "after", "difference"):
        table.add_column(name)
    for change in changes:
        if change.verdict_changed or change.difference:
            numbers = (change.measured_before, change.measured_after, change.difference)
            table.add_row(
                change.claim, change.before or "–", change.after or "–", *(value_text(number) for number in numbers)
            )
    console.print(table if table.row_count else "nothing changed against the other report")
