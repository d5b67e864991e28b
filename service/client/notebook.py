"""Reports as a notebook shows them: a short `repr`, HTML with the figure, and tables of pandas."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import PrivateAttr

from service.contracts.energy_report import EnergyReport
from service.contracts.jobs import Job
from service.contracts.radius import FractionReport, NullFraction, RadiusReport
from service.errors import InvalidInput, RadiusError

if TYPE_CHECKING:
    from pandas import DataFrame

_ESTIMABLE = 0.05  # share of a job that is done before a time is shown
Download = Callable[[str, str], bytes]  # an id and an ending → a file


class _Shown:
    """The common part of both report kinds. The client that read the report downloads its files on demand."""

    id: str
    _figure: Download | None = PrivateAttr(default=None)
    _neighbors: Download | None = PrivateAttr(default=None)

    def attach(self, figure: Download, neighbors: Download) -> Self:
        """Keep the calls of a client; returns the report."""
        self._figure, self._neighbors = figure, neighbors
        return self

    def rows(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def to_frame(self) -> DataFrame:
        """The report's table as a data frame of pandas, which the extra `frames` installs.

        Raises:
            InvalidInput: pandas is not installed.
        """
        return _pandas().DataFrame(self.rows())

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self).strip('<>'))}</p>{_table(self.rows())}{self._image()}"

    def _image(self) -> str:
        """The figure; empty where it cannot be downloaded any more."""
        if self._figure is None:
            return ""
        try:
            content = base64.b64encode(self._figure(self.id, "png")).decode()
        except (RadiusError, RuntimeError):  # the service is away, or its client was closed
            return ""
        name = html.escape(self.id)
        return f'<img alt="figure of {name}" style="max-width: 100%" src="data:image/png;base64,{content}">'


class ShownRadiusReport(_Shown, RadiusReport):
    """A radius report as the client returns it."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each fraction."""
        nulls = [None] * len(self.fractions) if self.null_model is None else self.null_model.fractions
        return [
            _fraction_row(part) | {"gaussian_null": _null_mean(null)}
            for part, null in zip(self.fractions, nulls, strict=True)
        ]

    def neighbors_frame(self) -> DataFrame:
        """All neighbours, a line for each: row, rank from 1, neighbor, distance; in the order of the rows.

        Raises:
            InvalidInput: pandas is not installed, or the report was not read by a client that blocks.
            NotFound: an earlier version made the report, without its neighbours.
        """
        frames = _pandas()
        if self._neighbors is None:
            raise InvalidInput("read the report by `Client.radius`, whose connection this uses")
        with np.load(io.BytesIO(self._neighbors(self.id, "npz")), allow_pickle=False) as stored:
            rows, distances, ids = stored["rows"], stored["distances"], stored["ids"]
        at, column = np.nonzero(ids >= 0)
        table = {"row": rows[at], "rank": column + 1, "neighbor": ids[at, column], "distance": distances[at, column]}
        return frames.DataFrame(table)

    def __repr__(self) -> str:
        whole = self.fractions[-1].nn_distance
        found = "no distances" if whole is None else f"mean nn_distance {whole.mean:.4g}, radius {whole.mean / 2:.4g}"
        return f"<radius report {self.id}: {self.name}, {self.n:,} × {self.d_model}, {found}>"

    __str__ = __repr__


class ShownEnergyReport(_Shown, EnergyReport):
    """An energy report as the client returns it."""

    def rows(self) -> list[dict[str, Any]]:
        """A row for each layer and β."""
        return [
            {
                "layer": layer.site or layer.name,
                "beta": part.beta,
                "g": layer.g.distribution.mean,
                "energy": part.energy.distribution.mean,
                "energy_mchn": part.energy_mchn.distribution.mean,
            }
            for layer in self.layers
            for part in layer.energies
        ]

    def __repr__(self) -> str:
        return f"<energy report {self.id}: {self.name}, {self.points:,} points, {len(self.layers)} layers>"

    __str__ = __repr__


class ProgressLine:
    """Shows a job's progress in one line of a notebook's output; call it with each state that is read."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write, self._shown = write or _write, ""

    def __call__(self, job: Job) -> None:
        line = progress_text(job)
        if line != self._shown:
            self._write("\r" + line.ljust(len(self._shown)))
            self._shown = line


def progress_text(job: Job) -> str:
    """`extract 1,200/2,400 rows, 12 s left`; the time only when enough is done to estimate it."""
    made = job.progress
    if made.total is None and not made.done:
        return made.stage or job.state
    total = "" if made.total is None else f"/{made.total:,}"
    early = made.total is None or made.done < _ESTIMABLE * made.total
    left = "" if made.eta_s is None or early else f", {made.eta_s:.0f} s left"
    return f"{made.stage or job.state} {made.done:,}{total} {made.unit}{left}"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    return "ipykernel" in sys.modules


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _fraction_row(part: FractionReport) -> dict[str, Any]:
    whole, error = part.nn_distance, None if part.nn_distance is None else part.nn_distance.uncertainty
    low, high = (None, None) if error is None or error.mean.interval is None else error.mean.interval
    return {
        "fraction": part.fraction,
        "n": part.n,
        "nn_distance_mean": None if whole is None else whole.mean,
        "nn_distance_median": None if whole is None else whole.median,
        "mean_low": low,
        "mean_high": high,
        "radius_mean": None if part.radius is None else part.radius.mean,
        "duplicates": part.duplicates,
    }


def _null_mean(null: NullFraction | None) -> float | None:
    return None if null is None or null.nn_distance is None else null.nn_distance.mean


def _table(rows: Iterable[dict[str, Any]]) -> str:
    """An HTML table; columns without any value are left out."""
    rows = list(rows)
    names = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row[name])}</td>" for name in names) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else html.escape(f"{value:,}" if isinstance(value, int) else str(value))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InvalidInput("data frames need pandas: install it, or the extra `frames`") from error
    return pandas
