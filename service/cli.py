"""The command line: `radius …`. Exit codes: 0 done, 1 failed, 2 wrong usage or refused input, 3 service unreachable."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service import __version__
from service.client import Client, Handle, JobFailed
from service.commands.administration import check_health, db_app, keys_app
from service.commands.energies import print_energy_report, print_query
from service.commands.estimates import print_estimate
from service.commands.metrics import write_tensorboard
from service.commands.output import console, errors, jobs_table, print_json, say, wait_with_bar
from service.commands.profile import print_profile
from service.commands.radius import print_report
from service.commands.reading import read_array
from service.commands.sites import print_sites
from service.commands.sweeps import print_sweep
from service.commands.theory import app as theory_app
from service.commands.training import print_training_run
from service.contracts.profile import Profile
from service.contracts.radius import FIGURE_FORMATS, RadiusReport
from service.contracts.specs import merge
from service.contracts.sweeps import Sweep
from service.contracts.training import TrainingRun
from service.errors import InvalidInput, NotFound, RadiusError, TooLarge, Unavailable
from service.processes import module_command, open_standard_streams
from service.settings import Settings

app = typer.Typer(help="How far apart are the memories of a Transformer?", no_args_is_help=True, add_completion=False)
app.add_typer(theory_app, name="theory")
app.add_typer(db_app, name="db")
app.add_typer(keys_app, name="keys")
_EXIT = {InvalidInput: 2, NotFound: 2, TooLarge: 2, Unavailable: 3}

Url = Annotated[str, typer.Option("--url", envvar="RADIUS_URL", help="the service")]
Kind = Annotated[str, typer.Argument(help="extraction, radius, energy, analysis, training or sweep")]
Preset = Annotated[str | None, typer.Option(help="a preset of /v1/presets")]
Values = Annotated[list[str] | None, typer.Option("--set", help="field=value, value as JSON or text")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]
DEFAULT_URL = "http://127.0.0.1:8000"


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="address to bind")] = None,
    port: Annotated[int | None, typer.Option(help="port to bind; 0 takes a free one")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="folder of the database and of all files")] = None,
) -> None:
    """Start the API and the workers on this machine; Ctrl-C stops them."""
    from service.supervisor import Supervisor

    given = {"host": host, "port": port, "data_dir": data_dir}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore
    supervisor = Supervisor(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.request_stop())
    try:
        supervisor.start()
        say(f"{supervisor.url} (docs at /docs), data in {settings.data_dir}")
        supervisor.wait()
    finally:
        supervisor.stop()


@app.command()
def api() -> None:
    """Run the API process alone, in the foreground, on HOST and PORT; the workers are started separately."""
    from service.binding import bind
    from service.server import serve

    settings = Settings()
    serve(settings, bind(settings))


@app.command()
def health(role: Annotated[str | None, typer.Option(help="a worker of this machine; default: the API")] = None) -> None:
    """Exit code 0 when the API accepts jobs, or when the worker had a heartbeat recently; 3 otherwise."""
    check_health(role, Settings())


@app.command()
def worker(
    role: Annotated[str, typer.Option(help="control, compute, train or query")],
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda:N; default: RADIUS_DEVICE")] = None,
) -> None:
    """Run one worker process in the foreground, on the database and data directory of the environment."""
    Settings()  # what is wrong with them is said here, in a sentence
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
def submit(
    kind: Kind,
    preset: Preset = None,
    values: Values = None,
    watch_it: Annotated[bool, typer.Option("--watch", help="wait until the job has ended")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Submit a job: radius submit analysis --preset small/f1 --set chunks=500 --set radius.k=2."""
    with _client(url) as client:
        handle = client.submit(kind, _spec(preset, values))
        say(handle.id, to=errors if as_json else console)  # first, so that it is there however the waiting ends
        with _json_of_failed(as_json):
            if watch_it:
                wait_with_bar(handle)
        if as_json:
            print_json(handle.get().model_dump(mode="json"))


@app.command()
def estimate(
    kind: Kind, preset: Preset = None, values: Values = None, url: Url = DEFAULT_URL, as_json: AsJson = False
) -> None:
    """Show what a job would take, and whether it fits; nothing is submitted. Exit code 1 when it does not fit."""
    with _client(url) as client:
        found = client.estimate(kind, _spec(preset, values))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_estimate(found)
    if not found.fits:
        raise typer.Exit(1)


@app.command()
def jobs(limit: int = 20, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    with _client(url) as client:
        found = [job for job, _ in zip(client.jobs(min(limit, 200)), range(limit), strict=False)]
    if as_json:
        print_json([job.model_dump(mode="json") for job in found])
    else:
        console.print(jobs_table(found))


@app.command()
def watch(job_id: str, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follow a job to its end; exit code 1 when it failed."""
    with _client(url) as client, _json_of_failed(as_json):
        job = wait_with_bar(Handle(client, job_id)).job
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        for result in job.results:
            say(f"{result.type} {result.site or ''} {result.id}")
        for notice in job.warnings:
            say(notice.message, "note", "yellow")


@app.command()
def cancel(job_id: str, url: Url = DEFAULT_URL) -> None:
    """Stop a job."""
    with _client(url) as client:
        say(client.cancel(job_id).state)


@app.command()
def retry(job_id: str, url: Url = DEFAULT_URL) -> None:
    """Continue a failed or cancelled job; its finished segments are kept."""
    with _client(url) as client:
        say(client.retry(job_id).state)


@app.command("import")
def import_file(
    file: Path,
    name: str | None = None,
    tensor: Annotated[str | None, typer.Option(help="name of the tensor in a .safetensors file of several")] = None,
    ids: Annotated[Path | None, typer.Option(help="text file with an id for each row, one a line")] = None,
    labels: Annotated[Path | None, typer.Option(help="text file with a label for each row, one a line")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Import your own vectors: a 2-D .npy or .safetensors file."""
    for given in (file, ids, labels):
        if given is not None and not given.is_file():
            raise InvalidInput(f"{given} is not a file")
    with _client(url, timeout_s=3600) as client:
        summary = client.import_vectors(file, name or file.stem, tensor=tensor, ids=ids, labels=labels)
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        say(f"{summary.id}: {summary.n:,} rows, d_model {summary.d_model}, {summary.dtype}")


@app.command()
def report(
    report_id: str,
    figure: Annotated[Path | None, typer.Option(help="save the figure: .png, .svg or .pdf")] = None,
    neighbors: Annotated[
        Path | None, typer.Option(help="save all neighbours of a radius report: .parquet or .npz")
    ] = None,
    radii: Annotated[bool, typer.Option("--radii", help="show the counts within the radii of the spec")] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show a radius report, an energy report, a profile, a training run or a sweep."""
    with _client(url) as client:
        read = {"run": client.training, "sweep": client.sweep, "energy": client.energy, "profile": client.profile}
        found = read.get(report_id.split("-", 1)[0], client.radius)(report_id)
        if figure is not None:
            if figure.suffix.removeprefix(".") not in FIGURE_FORMATS:
                raise InvalidInput("the figure's name must end in .png, .svg or .pdf")
            figure.write_bytes(client.figure(report_id, figure.suffix.removeprefix(".")))
        if neighbors is not None:
            if neighbors.suffix not in (".parquet", ".npz"):
                raise InvalidInput("the name of the neighbours' file must end in .parquet or .npz")
            neighbors.write_bytes(client.neighbors_file(report_id, neighbors.suffix.removeprefix(".")))
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif isinstance(found, RadiusReport):
        print_report(found, radii=radii)
    elif isinstance(found, TrainingRun):
        print_training_run(found)
    elif isinstance(found, Sweep):
        print_sweep(found)
    elif isinstance(found, Profile):
        print_profile(found)
    else:
        print_energy_report(found)


@app.command()
def sites(
    model: Annotated[str, typer.Argument(help="a folder under the models root, or a kept model run:{id}[@step]")],
    revision: Annotated[str | None, typer.Option(help="commit, branch or tag in a hub's cache")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List the sites of a model and the names that libraries give them."""
    with _client(url) as client:
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
    url: Url = DEFAULT_URL,
) -> None:
    """Save the logged steps of a training run."""
    if (file is None) == (tensorboard is None):
        raise InvalidInput("give either --file or --tensorboard")
    with _client(url) as client:
        if tensorboard is not None:
            write_tensorboard(client.metrics(run_id), tensorboard)
        elif file is not None:
            if file.suffix not in (".csv", ".parquet"):
                raise InvalidInput("the file's name must end in .csv or .parquet")
            file.write_bytes(client.metrics_file(run_id, file.suffix.removeprefix(".")))


@app.command()
def query(
    set_id: Annotated[str, typer.Argument(help="an activation set")],
    texts: Annotated[list[str] | None, typer.Argument(help="texts, embedded by the set's own model")] = None,
    vectors: Annotated[Path | None, typer.Option(help="a 2-D .npy of vectors instead of texts")] = None,
    k: Annotated[int, typer.Option(help="nearest rows shown")] = 5,
    beta: Annotated[float, typer.Option(help="inverse temperature of the energies")] = 1.0,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Find the rows of a set nearest to a text: radius query ACT "a sentence"."""
    if bool(texts) == (vectors is not None):
        raise InvalidInput("give either texts or --vectors")
    points = None if vectors is None else read_array(vectors, "vectors")
    with _client(url) as client:
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
def version() -> None:
    """Print the version."""
    print(__version__)


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
        say(error.detail, f"{error.code}:", "red", to=errors)
        raise SystemExit(next((code for kind, code in _EXIT.items() if isinstance(error, kind)), 1)) from error
    except ValidationError as error:
        for found in error.errors():
            where = ".".join(str(part) for part in found["loc"])
            say(f"{where}: {found['msg']}", "setting", "red", to=errors)
        raise SystemExit(2) from error
    except OSError as error:
        say(str(error), "system:", "red", to=errors)
        raise SystemExit(1) from error


@contextmanager
def _json_of_failed(as_json: bool) -> Iterator[None]:
    """Print a job that failed or was cancelled as JSON too, where that was asked for."""
    try:
        yield
    except JobFailed as error:
        if as_json and error.job is not None:
            print_json(error.job.model_dump(mode="json"))
        raise


def _client(url: str, **options: Any) -> Client:
    """A client with the API key in RADIUS_API_KEY, if that is set."""
    return Client(url, api_key=os.environ.get("RADIUS_API_KEY"), **options)


def _spec(preset: str | None, values: list[str] | None) -> dict[str, Any]:
    spec: dict[str, Any] = {} if preset is None else {"preset": preset}
    for text in values or []:
        spec = merge(spec, _assignment(text))
    return spec


def _assignment(text: str) -> dict[str, Any]:
    """`radius.k=2` as `{"radius": {"k": 2}}`; a value that is not JSON is text."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InvalidInput("--set takes field=value")
    try:
        parsed: Any = json.loads(value)
    except ValueError:
        parsed = value
    first, *inner = name.split(".")
    for part in reversed(inner):
        parsed = {part: parsed}
    return {first: parsed}


if __name__ == "__main__":
    main()
