"""Terminal output of energy reports and of queries."""

from __future__ import annotations

from rich.table import Table

from service.commands.descent import print_descent
from service.commands.output import console, say
from service.contracts.energy_report import Curvature, EnergyReport, LayerEnergies
from service.contracts.query import NearRow, QueryAnswer


def print_energy_report(report: EnergyReport) -> None:
    """Print the energies of each layer and which bounds hold; for several layers also what each block does."""
    say(f"{report.name}: {report.points:,} points, d_model {report.d_model}")
    if report.layers:
        console.print(_layers_table(report))
    for layer in report.layers if len(report.layers) == 1 else []:
        for line in _layer_lines(layer):
            say(line)
    if report.energy_global is not None:
        found = report.energy_global.corrected
        say(
            f"E_global (7) with E_t = g_t: mean {found.energy_global.distribution.mean:.6g}; c(x) of (10) from "
            f"{found.gap_min:.4g} to {found.gap_max:.4g}, log l = {report.energy_global.log_layers:.4g}"
        )
    if report.descent is not None:
        print_descent(report.descent)
    if report.descent_reason is not None:
        say(f"eq. (6): {report.descent_reason}", "note", "yellow")
    for notice in report.warnings:
        say(notice.message, "note", "yellow")


def print_query(answer: QueryAnswer, names: list[str]) -> None:
    """Print each query by its name, its energies and its nearest rows; of a row's text what is around its token."""
    for name, found in zip(names, answer.results, strict=True):
        say(name, style="bold", word=">")
        percentile = "" if found.percentile is None else f", percentile {found.percentile:.1f}"
        say(f"distance {found.nn_distance:.4f}, radius {found.radius:.4f}{percentile}")
        say(f"g {found.g:.4f}, E {found.energy:.4f}, E_MCHN {found.energy_mchn:.4f} (β = {answer.beta:g})")
        console.print(_neighbors_table(found.neighbors))
    for note in answer.notes:
        say(note, "note", "yellow")


def _neighbors_table(neighbors: list[NearRow]) -> Table:
    """Distance, row and document, which are never cut, then as much of the text as there is room for."""
    rows = [(f"{near.distance:.4f}", f"{near.row}", near.document or near.id or "") for near in neighbors]
    table = Table(box=None)
    for place, heading in enumerate(("distance", "row", "document or id")):
        width = max([len(heading), *(len(row[place]) for row in rows)])
        table.add_column(heading, justify="left" if place == 2 else "right", no_wrap=True, min_width=width)
    table.add_column("text before the token, or label", no_wrap=True)
    used = sum(column.min_width or 0 for column in table.columns) + 8
    for row, near in zip(rows, neighbors, strict=True):
        table.add_row(*row, _around_token(near, max(20, console.width - used)))
    return table


def _around_token(near: NearRow, width: int) -> str:
    """At most `width` characters that end a little after the token whose vector the row is; or the label.

    Where the token is not the last, its place in the text is taken to be proportional to its number.
    """
    text = " ".join((near.text or near.label or "").split())
    share = 1.0 if near.position is None or not near.tokens else (near.position + 1) / near.tokens
    end = len(text) if share >= 1 else min(len(text), round(share * len(text)) + width // 4)
    start = max(0, end - width)
    shown = text[start:end]
    return f"…{shown[1:]}" if start > 0 else shown


def _layers_table(report: EnergyReport) -> Table:
    table = Table(box=None)
    table.add_column("layer", no_wrap=True)
    for heading in ("β", "g mean", "g median", "E mean", "E_MCHN", "Prop. 3\nfails"):
        table.add_column(heading, justify="right")
    for layer in report.layers:
        g, failed = layer.g.distribution, layer.bounds.paper_literal.proposition_3.failed_share
        for part in layer.energies:
            energies = (part.energy.distribution.mean, part.energy_mchn.distribution.mean)
            table.add_row(
                layer.site or layer.name, f"{part.beta:g}", f"{g.mean:.6g}", f"{g.median:.6g}",
                *(f"{value:.6g}" for value in energies), f"{failed:.1%}",
            )  # fmt: skip
    return table


def _layer_lines(layer: LayerEnergies) -> list[str]:
    corrected, ranges = layer.bounds.corrected, layer.bounds.measured
    low, high = ranges.energy_minus_g
    failed = corrected.proposition_1.failed_share
    holds = "holds at all points" if failed == 0 else f"fails at {failed:.1%} of the points"
    lines = [
        f"E − g from {low:.4g} to {high:.4g}; Prop. 1 allows {corrected.proposition_1.lower:.4g} to 0 and {holds}",
    ]
    if layer.storage is not None and layer.basins is not None:
        lines.append(
            f"stored (Def. 1): {layer.storage.certified_share:.1%} of the balls provably attract; of starts at "
            f"{layer.basins.fractions[-1]:g} of the half distance {layer.basins.random[-1]:.0%} (random) and "
            f"{layer.basins.towards_nearest[-1]:.0%} (towards the nearest) return"
        )
    return lines + [_curvature_line(part) for part in layer.curvature if _is_of_energy_between(part)][:1]


def _is_of_energy_between(part: Curvature) -> bool:
    return part.kind == "energy" and part.where == "midpoints"


def _curvature_line(part: Curvature) -> str:
    """A line on the smallest eigenvalue found; power iteration proves only that it is not convex."""
    found = f"smallest Hessian eigenvalue {part.min:.4g} (β = {part.beta:g}) half-way between neighbours"
    if part.negative_share > 0:
        return f"E is not convex: {found}, below 0 at {part.negative_share:.1%} of {part.points:,} points"
    if part.min < 0:
        return f"whether E is convex is not decided: {found}, which rounding may have moved by {part.rounding:.2g}"
    return f"nothing found against E being convex: {found}, not below 0 at any of {part.points:,} points"
