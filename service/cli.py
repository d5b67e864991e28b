"""The command line: `radius …`. Exit codes: 0 done, 1 failed, 2 wrong usage or refused input, 3 service unreachable."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service import __version__
from service.client import Handle, JobFailed
from service.commands.administration import check_health, db_app, keys_app
from service.commands.energies import print_query
from service.commands.estimates import print_estimate
from service.commands.guesses import Commands, advice, expect
from service.commands.jobs import JobId, delete, events, logs, open_page, print_products, reports_of
from service.commands.listings import corpora, models, presets, sets
from service.commands.metrics import write_tensorboard
from service.commands.options import AsJson, Limit, Url, open_client, service_url
from service.commands.output import console, errors, jobs_table, print_json, say, wait_with_bar, workers_table
from service.commands.reading import read_array
from service.commands.reports import print_any_report, read_report, targets
from service.commands.sites import print_sites
from service.commands.specs import print_spec_help
from service.commands.theory import app as theory_app
from service.contracts.jobs import Job
from service.contracts.radius import FIGURE_FORMATS
from service.contracts.specs import merge
from service.errors import InvalidInput, NotFound, RadiusError, TooLarge, Unavailable
from service.permissions import access_warnings, keep_files_private
from service.processes import module_command, open_standard_streams
from service.settings import Settings

app = typer.Typer(cls=Commands, no_args_is_help=True)
app.add_typer(theory_app, name="theory")
app.add_typer(db_app, name="db")
app.add_typer(keys_app, name="keys")
for command in (corpora, models, presets, sets, events, logs, delete):
    app.command()(command)
app.command("open")(open_page)
_EXIT = {InvalidInput: 2, NotFound: 2, TooLarge: 2, Unavailable: 3}

Kind = Annotated[str, typer.Argument(help="extraction, radius, energy, analysis, training, sweep or reproduction")]
Preset = Annotated[str | None, typer.Option(help="a named spec; `radius presets` lists them")]
Devices = Annotated[
    str | None,
    typer.Option(
        help="a compute worker on each: cpu, cuda:N, with commas between, or all GPUs; default: RADIUS_DEVICES"
    ),
]
Values = Annotated[
    list[str] | None, typer.Option("--set", help="field=value, the value as JSON or text; may be repeated")
]
BackupFolder = Annotated[Path, typer.Argument(metavar="DIR", help="the folder of the backup")]


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="address to bind")] = None,
    port: Annotated[int | None, typer.Option(help="port to bind; 0 takes a free one")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="folder of the database and of all files")] = None,
    devices: Devices = None,
) -> None:
    """Start the API and the workers on this machine; Ctrl-C stops them."""
    from service.logs.setup import begin_supervisor_logging
    from service.supervisor import Supervisor

    given = {"host": host, "port": port, "data_dir": data_dir, "devices": devices}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore
    keep_files_private()
    begin_supervisor_logging(settings)
    supervisor = Supervisor(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.request_stop())
    try:
        supervisor.start()
        shown = f"open {supervisor.url} in a browser; REST documentation at /docs; Ctrl-C stops"
        say(f"{shown}; data in {settings.data_dir}")
        _warn_of_access(settings)
        supervisor.wait()
    finally:
        supervisor.stop()


@app.command()
def api() -> None:
    """Run the API process alone, in the foreground, on HOST and PORT; the workers are started separately."""
    from service.binding import bind
    from service.server import serve

    keep_files_private()
    settings = Settings()
    listening = bind(settings)
    _warn_of_access(settings)
    serve(settings, listening)


@app.command()
def health(role: Annotated[str | None, typer.Option(help="workers of this machine; default: the API")] = None) -> None:
    """Exit code 0 when the API accepts jobs, or when each worker had a heartbeat recently; 3 otherwise."""
    check_health(role, Settings())


@app.command()
def worker(
    role: Annotated[str, typer.Option(help="control, compute, train or query")],
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda:N; default: RADIUS_DEVICE")] = None,
    devices: Devices = None,
) -> None:
    """Run a worker process in the foreground, on the database and data directory of the environment.

    With `--devices`, run a compute worker on each, and start one again that dies.
    """
    from service.compute_workers import forget_names

    if devices is not None and (device is not None or role != "compute"):
        raise InvalidInput("--devices goes with --role compute and without --device", field="devices")
    keep_files_private()
    chosen = "" if device is not None else devices
    settings = Settings() if chosen is None else Settings(devices=chosen)  # what is wrong with them is said here
    if role == "compute" and settings.devices:
        _run_compute_workers(settings)
        return
    if role == "compute":
        forget_names(settings)
    command = module_command("workers.main", "--role", role)
    given = {} if device is None else {"RADIUS_DEVICE": device}
    os.execve(command[0], command, os.environ | given)  # noqa: S606 - the command is ours


@app.command()
def demo(
    model: Annotated[
        str | None, typer.Option(help="model folder or hub id; default: a small GPT-2, trained first")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="text file or folder; default: Python's reference")] = None,
    chunks: Annotated[int, typer.Option(help="chunks to sample")] = 2400,
    chunk_tokens: Annotated[int, typer.Option(help="tokens of a chunk")] = 40,
    data_dir: Annotated[Path | None, typer.Option(help="default: a temporary folder")] = None,
    out: Annotated[Path, typer.Option(help="folder for figures and reports")] = Path("radius-demo"),
    as_json: AsJson = False,
) -> None:
    """Run the main job end to end, offline: text → activations → radius report and figure."""
    from service.commands.demo import Demo, demo_settings, run_demo

    with demo_settings(data_dir) as settings:
        shown = run_demo(Demo(model or None, corpus or None, chunks, chunk_tokens, out), settings)
    if as_json:
        print_json(shown)


@app.command()
def reproduce(
    scale: Annotated[
        str, typer.Option(help="smoke (minutes), small (two hours on two cores) or paper (GPU days)")
    ] = "smoke",
    model: Annotated[str | None, typer.Option(help="model folder or hub id; default: that of the scale")] = None,
    corpus: Annotated[
        str | None, typer.Option(help="corpus, or text file or folder; default: that of the scale")
    ] = None,
    claims: Annotated[str | None, typer.Option(help="ids with commas between, such as P1,P2; default: all")] = None,
    seed: Annotated[int, typer.Option(help="seed of samples and trainings")] = 0,
    out: Annotated[Path, typer.Option(help="folder for the report")] = Path("radius-reproduction"),
    against: Annotated[Path | None, typer.Option(help="report.json of an earlier one, to compare with")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="of a service of its own, where none answers")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Judge every claim of the paper: run what it needs, write one report with a table of verdicts."""
    from service.commands.reproduce import Reproduction
    from service.commands.reproduce import reproduce as run

    given = {} if data_dir is None else {"data_dir": data_dir}
    settings = Settings(port=0, api_keys_file=None, **given)  # pyright: ignore[reportArgumentType]
    wanted = None if claims is None else [name.strip() for name in claims.split(",") if name.strip()]
    shown = run(
        Reproduction(scale, model or None, corpus or None, wanted, seed, out, against),
        service_url(url),
        settings,
        os.environ.get("RADIUS_API_KEY"),
    )
    if as_json:
        print_json(shown)


@app.command()
def submit(
    kind: Kind,
    preset: Preset = None,
    values: Values = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value, kept with the job")] = None,
    priority: Annotated[int, typer.Option(help="1 to 1000; lower runs first")] = 50,
    timeout: Annotated[float | None, typer.Option(help="seconds from start to end; a longer job fails")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="the same key and spec is the same job")] = None,
    watch_it: Annotated[bool, typer.Option("--watch", help="wait for the end, then list the products")] = False,
    help_spec: Annotated[bool, typer.Option("--help-spec", help="list the fields of this kind instead")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job: radius submit analysis --preset small/f1 --set chunks=500 --set radius.k=2."""
    if help_spec:
        print_spec_help(kind)
        return
    with open_client(url) as client:
        handle = client.submit(
            kind,
            _spec(preset, values),
            priority=priority,
            labels=dict(_assigned(text, "--label takes name=value") for text in labels or []),
            timeout_s=timeout,
            idempotency_key=idempotency_key,
        )
        say(handle.id, to=errors if as_json else console)  # first, so that it is there however the waiting ends
        if watch_it:
            _wait(handle, as_json)
        elif as_json:
            print_json(handle.get().model_dump(mode="json"))


@app.command()
def estimate(
    kind: Kind, preset: Preset = None, values: Values = None, url: Url = None, as_json: AsJson = False
) -> None:
    """Show what a job would take, and whether it fits; nothing is submitted. Exit code 1 when it does not fit."""
    with open_client(url) as client:
        found = client.estimate(kind, _spec(preset, values))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_estimate(found)
    if not found.fits:
        raise typer.Exit(1)


@app.command()
def jobs(
    limit: Limit = 20,
    kind: Annotated[str | None, typer.Option(help="of this kind alone")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, cancelling, succeeded, failed, cancelled")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with open_client(url) as client:
        found = list(islice(client.jobs(min(limit, 200), kind=kind, state=state), limit))
    if as_json:
        print_json([job.model_dump(mode="json") for job in found])
    elif found:
        console.print(jobs_table(found))
    else:
        say("no jobs; `radius submit` starts one, `radius presets` lists what it may be")


@app.command()
def workers(url: Url = None, as_json: AsJson = False) -> None:
    """List the worker processes: role, device, when each was last seen, what it does now."""
    with open_client(url) as client:
        found = client.workers()
    if as_json:
        print_json([worker.model_dump(mode="json") for worker in found])
    else:
        console.print(workers_table(found))


@app.command()
def watch(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Follow a job to its end; exit code 1 when it failed."""
    expect(job_id, "job")
    with open_client(url) as client:
        _wait(Handle(client, job_id), as_json)


@app.command()
def cancel(job_id: JobId, url: Url = None) -> None:
    """Stop a job."""
    expect(job_id, "job")
    with open_client(url) as client:
        say(client.cancel(job_id).state)


@app.command()
def retry(job_id: JobId, url: Url = None) -> None:
    """Continue a failed or cancelled job; its finished segments are kept."""
    expect(job_id, "job")
    with open_client(url) as client:
        say(client.retry(job_id).state)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="a .npy or .safetensors file of rows")],
    name: Annotated[str | None, typer.Option(help="name of the set; default: that of the file")] = None,
    tensor: Annotated[str | None, typer.Option(help="name of the tensor in a .safetensors file of several")] = None,
    ids: Annotated[Path | None, typer.Option(help="text file with an id for each row, one a line")] = None,
    labels: Annotated[Path | None, typer.Option(help="text file with a label for each row, one a line")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import your own vectors: a 2-D .npy or .safetensors file."""
    for given in (file, ids, labels):
        if given is not None and not given.is_file():
            raise InvalidInput(f"{given} is not a file")
    with open_client(url, timeout_s=3600) as client:
        summary = client.import_vectors(file, name or file.stem, tensor=tensor, ids=ids, labels=labels)
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        say(f"{summary.id}: {summary.n:,} rows, d_model {summary.d_model}, {summary.dtype}")


@app.command()
def report(
    report_id: Annotated[str, typer.Argument(help="a report, a run, a sweep, a reproduction, or the job that made it")],
    figure: Annotated[Path | None, typer.Option(help="save the figure: .png, .svg or .pdf")] = None,
    neighbors: Annotated[
        Path | None, typer.Option(help="save all neighbours of a radius report: .parquet or .npz")
    ] = None,
    radii: Annotated[bool, typer.Option("--radii", help="show the counts within the radii of the spec")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show a radius or energy report, a profile, a training run, a sweep or a reproduction; of a job every one."""
    with open_client(url) as client:
        ids = reports_of(client.job(report_id)) if report_id.startswith("job-") else [report_id]
        found = [read_report(client, each) for each in ids]
        for option, path, endings, read in (
            ("--figure", figure, FIGURE_FORMATS, client.figure),
            ("--neighbors", neighbors, ("parquet", "npz"), client.neighbors_file),
        ):
            if path is not None:
                for each, target in zip(ids, targets(path, ids, option, endings), strict=True):
                    target.write_bytes(read(each, path.suffix.removeprefix(".")))
                    say(f"wrote {target}", to=errors if as_json else console)
    if as_json:
        shown = [each.model_dump(mode="json") for each in found]
        print_json(shown if report_id.startswith("job-") else shown[0])
    else:
        for at, each in enumerate(found):
            console.print("\n" if at else "", end="")
            print_any_report(each, radii=radii)


@app.command()
def sites(
    model: Annotated[str, typer.Argument(help="a folder under the models root, or a kept model run:{id}[@step]")],
    revision: Annotated[str | None, typer.Option(help="commit, branch or tag in a hub's cache")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the sites of a model and the names that libraries give them."""
    with open_client(url) as client:
        found = client.sites(model, revision=revision)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_sites(found)


@app.command()
def metrics(
    run_id: Annotated[str, typer.Argument(help="a training run")],
    file: Annotated[Path | None, typer.Option(help="write a .csv or a .parquet file")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="write event files for TensorBoard to this folder")] = None,
    url: Url = None,
) -> None:
    """Save the logged steps of a training run."""
    if (file is None) == (tensorboard is None):
        raise InvalidInput("give either --file or --tensorboard")
    with open_client(url) as client:
        if tensorboard is not None:
            write_tensorboard(client.metrics(run_id), tensorboard)
        elif file is not None:
            if file.suffix not in (".csv", ".parquet"):
                raise InvalidInput("the file's name must end in .csv or .parquet")
            file.write_bytes(client.metrics_file(run_id, file.suffix.removeprefix(".")))
        say(f"wrote {file or tensorboard}")


@app.command()
def query(
    set_id: Annotated[str, typer.Argument(help="an activation set: act-…")],
    texts: Annotated[list[str] | None, typer.Argument(help="texts, embedded by the set's own model")] = None,
    vectors: Annotated[Path | None, typer.Option(help="a 2-D .npy of vectors instead of texts")] = None,
    k: Annotated[int, typer.Option(help="nearest rows shown")] = 5,
    beta: Annotated[float, typer.Option(help="inverse temperature of the energies")] = 1.0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows of a set nearest to a text: radius query SET "a sentence"."""
    expect(set_id, "act")
    if bool(texts) == (vectors is not None):
        raise InvalidInput('give either texts, as in `radius query SET "a sentence"`, or --vectors')
    points = None if vectors is None else read_array(vectors, "vectors")
    with open_client(url) as client:
        answer = client.query(set_id, texts=texts or None, vectors=points, k=k, beta=beta)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        print_query(answer, texts or [f"row {row}" for row in range(len(answer.results))])


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the installation; exit code 1 when a check fails."""
    from service.commands.doctor import as_json as rows
    from service.commands.doctor import examine

    findings = examine(Settings())
    if as_json:
        print_json(rows(findings))
    else:
        for finding in findings:
            word, style = ("ok  ", "green") if finding.ok else ("fail", "red")
            advice = f"  → {finding.advice}" if finding.advice else ""
            say(f"{finding.check}: {finding.found}{advice}", word, style)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def backup(folder: BackupFolder) -> None:
    """Copy database and files of this service into an empty folder, while jobs run."""
    from service.commands.backups import backup

    backup(Settings(), folder)


@app.command()
def restore(folder: BackupFolder) -> None:
    """Restore a backup into an empty data directory and an empty database, and check every file."""
    from service.commands.backups import restore

    restore(Settings(), folder)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """How far apart are the memories of a Transformer?"""


def main() -> None:
    """The entry point `radius`."""
    open_standard_streams()
    with _exit_codes():
        app()


@contextmanager
def _exit_codes() -> Iterator[None]:
    try:
        yield
    except RadiusError as error:
        say(error.detail + advice(error), f"{error.code}:", "red", to=errors)
        raise SystemExit(next((code for kind, code in _EXIT.items() if isinstance(error, kind)), 1)) from error
    except ValidationError as error:
        for found in error.errors():
            where = ".".join(str(part) for part in found["loc"])
            say(f"{where}: {found['msg']}", "setting", "red", to=errors)
        raise SystemExit(2) from error
    except OSError as error:
        say(str(error), "system:", "red", to=errors)
        raise SystemExit(1) from error


def _wait(handle: Handle, as_json: bool) -> None:
    """Wait for a job with a bar, and print its products however the waiting ends; the job as JSON where asked for."""
    try:
        _show_job(wait_with_bar(handle).job, as_json)
    except JobFailed as error:
        if error.job is not None:
            _show_job(error.job, as_json)
        raise
    except KeyboardInterrupt:
        if not as_json:
            print_products(handle.get())
        say(f"the job goes on: `radius watch {handle.id}` follows it, `radius cancel {handle.id}` stops it", to=errors)
        raise typer.Exit(130) from None


def _run_compute_workers(settings: Settings) -> None:
    from service.logs.setup import begin_logging
    from service.supervisor import run_compute_workers

    begin_logging(settings, "worker")
    run_compute_workers(settings)


def _warn_of_access(settings: Settings) -> None:
    for warning in access_warnings(settings):
        say(warning, "note", "yellow", to=errors)


def _show_job(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job.model_dump(mode="json"))
        return
    print_products(job)
    for notice in job.warnings:
        say(notice.message, "note", "yellow")


def _spec(preset: str | None, values: list[str] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {} if preset is None else {"preset": preset}
    for text in values or []:
        spec = merge(spec, _assignment(text))
    return spec


def _assignment(text: str) -> dict[str, Any]:
    """`radius.k=2` as `{"radius": {"k": 2}}`; a value that is not JSON is text."""
    name, value = _assigned(text, "--set takes field=value")
    try:
        parsed: Any = json.loads(value)
    except ValueError:
        parsed = value
    first, *inner = name.split(".")
    for part in reversed(inner):
        parsed = {part: parsed}
    return {first: parsed}


def _assigned(text: str, usage: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InvalidInput(usage)
    return name, value


if __name__ == "__main__":
    main()
