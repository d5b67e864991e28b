"""Templates, their filters, and the answer of a page."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service import __version__
from service.contracts.base import now
from service.contracts.radius import NearestDistribution
from service.principal import LOCAL
from service.rounding import with_error
from service.sizes import shown_bytes

# Plotly adds style elements; nothing else is inline, and nothing comes from another host.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'"
)


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page: `template` filled with `values`; links begin with the path under which a proxy serves us."""
    root, principal = request.scope.get("root_path", ""), request.scope.get("principal", LOCAL)
    path = request.scope["path"].removeprefix(root)
    shown = {"root": root, "path": path, "version": __version__, "known": principal.key, **values}
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(_TEMPLATES.get_template(template).render(shown), status, headers)


def number(value: float | None, digits: int = 4) -> str:
    """A number for reading: whole ones with separators, others to `digits` significant digits; – for none."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.{digits}g}" if 1e-4 <= abs(value) < 10**digits else f"{value:.{digits}g}"


def estimated(value: Any, digits: int = 4) -> str:
    """`11.75 ± 0.14` of an estimate; its value alone where it has no interval; – for none."""
    if value is None or value.value is None:
        return "–"
    return with_error(value.value, value.interval, f".{digits}g")


def distance(found: NearestDistribution | None) -> str:
    """The mean of some distances with its error by documents; – for none."""
    if found is None:
        return "–"
    error = found.uncertainty
    return with_error(found.mean, None if error is None else error.mean.interval)


def named_numbers(pairs: list[tuple[str, float | None]]) -> list[tuple[str, str]]:
    """Names in words, each with its number."""
    return [(name.replace("_", " "), number(value)) for name, value in pairs]


def share(value: float | None) -> str:
    """A share as per cent; – for none."""
    return "–" if value is None else f"{100 * value:.3g} %"


def size(count: int | None) -> str:
    """A number of bytes with its unit; – for none."""
    return "–" if count is None else shown_bytes(count)


def seconds(value: float | None) -> str:
    """A length of time in its two largest units; – for none."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.2g} s"
    whole = round(value)
    for unit, length, below, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {below}"
    return f"{whole} s"


def moment(when: datetime | None) -> str:
    """A time as ISO 8601 to the second, UTC; – for none."""
    return "–" if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def took(job: Any) -> str:
    """The time that a job has run, until its end or now."""
    if job.started_at is None:
        return "–"
    return seconds(((job.finished_at or now()) - job.started_at).total_seconds())


def pretty(value: Any) -> str:
    """JSON with indentation, for a person to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "number": number, "estimated": estimated, "share": share, "size": size, "seconds": seconds, "moment": moment,
    "took": took, "pretty": pretty, "distance": distance, "named_numbers": named_numbers,
}  # fmt: skip
