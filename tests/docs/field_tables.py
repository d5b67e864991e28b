"""Pages of fields: the specs of jobs, the reports, the settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from service.contracts.base import Contract
from service.contracts.energy_report import EnergyReport
from service.contracts.jobs import SPECS, Job
from service.contracts.presets import PRESETS
from service.contracts.profile import Profile
from service.contracts.query import QueryAnswer
from service.contracts.radius import RadiusReport
from service.contracts.spec_fields import field_rows
from service.contracts.sweeps import Sweep
from service.contracts.training import TrainingRun
from service.settings import ClientSettings, Settings

REPORTS: dict[str, tuple[type[Contract], str]] = {
    "Radius report": (RadiusReport, "GET /v1/radius/{id}"),
    "Energy report": (EnergyReport, "GET /v1/energy/{id}"),
    "Profile": (Profile, "GET /v1/profiles/{id}"),
    "Training run": (TrainingRun, "GET /v1/training/{id}"),
    "Sweep": (Sweep, "GET /v1/sweeps/{id}"),
    "Job": (Job, "GET /v1/jobs/{id}"),
    "Answer to a query": (QueryAnswer, "POST /v1/activations/{id}/query"),
}


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a cell's bars and line breaks are escaped."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """`text` as code; nothing where it is empty."""
    return f"`{text}`" if text else ""


def settings_page() -> str:
    rows = [
        (code(f"RADIUS_{name.upper()}"), code(_default(field.default)), field.description or "")
        for kind in (Settings, ClientSettings)
        for name, field in kind.model_fields.items()
    ]
    intro = (
        "# Settings\n\nEvery setting is an environment variable. `radius up --host`, `--port`, `--data-dir` and "
        "`--devices` set four of them for one command. In compose they stand in `.env`. Clients read the last two: the "
        "command line and `Client()`.\n\n"
    )
    return intro + table(("variable", "default", "meaning"), rows)


def specs_page() -> str:
    parts = [
        '# Job specs\n\nThe body of `POST /v1/jobs` is `{"kind": …, "spec": {…}}`; on the command line '
        "`radius submit KIND --set field=value`, with a dot within objects: `--set radius.k=5`. `--help-spec` prints "
        'these tables. Any spec may be a preset with overrides: `{"preset": "small/f1", "chunks": 500}`.\n'
    ]
    for kind, specs in SPECS.items():
        parts += [f"## {kind}\n"]
        parts += [_fields(spec, heading=len(specs) > 1) for spec in specs]
    rows = [(code(preset.id), preset.kind, preset.title) for preset in PRESETS]
    parts += [
        "## Presets\n",
        "`radius presets --json` has the whole spec, what the paper states and what is assumed.\n",
    ]
    return "\n".join([*parts, table(("preset", "kind", "what it is"), rows)])


def reports_page() -> str:
    parts = [
        "# Report fields\n\nNames with `[]` are fields of the objects in a list. A field that can be null says why.\n"
    ]
    for title, (kind, route) in REPORTS.items():
        rows = [(code(row.name), row.type, row.meaning) for row in field_rows(kind)]
        parts += [f"## {title}\n", f"`{route}`. {_summary(kind)}\n", table(("field", "type", "meaning"), rows)]
    return "\n".join(parts)


def _fields(spec: type[Contract], *, heading: bool) -> str:
    rows = [(code(row.name), row.type, code(row.default), row.meaning) for row in field_rows(spec)]
    title = f"### {spec.model_fields['experiment'].default}\n\n" if heading else ""
    return f"{title}{_summary(spec)}\n\n" + table(("field", "type", "default", "meaning"), rows)


def _summary(kind: type[Contract]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _default(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
