"""Terminal output of blocks as a search, eq. (6): what each block does, and its null models with errors."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.descent_report import BlockReport, DescentReport, MoveReport
from service.contracts.statistics import Estimated
from service.rounding import with_error


def print_descent(descent: DescentReport) -> None:
    """Print the moves of the blocks; where the report has them also the null models, and what follows from them."""
    console.print(_moves_table(descent))
    if descent.verdict is not None:
        console.print(_nulls_table(descent))
        if descent.documents is not None:
            unit = "rows, each taken as a document" if descent.rows_are_documents else "documents"
            say(f"± is half of the 95 % interval, by {descent.documents:,} {unit}, given the patterns")
        for block in descent.blocks:
            say(_verdict_line(block))
        say(descent.verdict)


def _moves_table(descent: DescentReport) -> Table:
    title = f"eq. (6): {descent.points:,} points among {descent.patterns:,} patterns of other documents"
    table = Table(title=title, title_justify="left", box=None)
    earlier = descent.verdict is None  # its shares are in this table, without errors
    shares = ("nearer", "another layer's", "random") if earlier else ()
    for heading in ("block", "δ_t", "g before", "change of g", "best possible", "cos", *shares):
        table.add_column(heading, justify="right")
    for block in descent.blocks:
        cosine = "" if block.block.cosine is None else f"{block.block.cosine:+.3f}"
        measured = f"{block.block.g_change:+.4g}" if block.measured is None else _signed(block.measured.g_change)
        table.add_row(
            str(block.layer), f"{block.step_sq.mean:.4g}", f"{block.g_before:.4g}", measured,
            f"{block.reachable - block.g_before:+.4g}", cosine,
            *([_share(block.block), _share(block.shuffled), _share(block.random)] if earlier else []),
        )  # fmt: skip
    return table


def _nulls_table(descent: DescentReport) -> Table:
    """The share of points whose g decreases, of each block and its nulls, with half of the interval."""
    table = Table(title="share of points whose g decreases", title_justify="left", box=None)
    table.add_column("block", justify="right")
    for heading in ("measured", "mean step", "permuted", "random"):
        table.add_column(heading, justify="right", no_wrap=True)
    for block in descent.blocks:
        steps = ([] if block.measured is None else [block.measured]) + [null.measured for null in block.nulls or []]
        table.add_row(str(block.layer), *(_estimate(step.g_decreases) for step in steps))
    return table


def _verdict_line(block: BlockReport) -> str:
    """The verdict, and the paired difference from the best null."""
    said = f"block {block.layer}: {block.verdict or f'no verdict, {block.verdict_reason}'}"
    best = [null.block_minus_null.g_decreases for null in block.nulls or [] if null.kind == block.best_null]
    return said + "".join(f"; share minus that of {block.best_null}: {_signed(found)}" for found in best)


def _estimate(found: Estimated) -> str:
    if found.value is None:
        return "none"
    return with_error(found.value, found.interval, ".4f")


def _signed(found: Estimated) -> str:
    shown = _estimate(found)
    return f"+{shown}" if found.value is not None and found.value > 0 else shown


def _share(move: MoveReport | None) -> str:
    return "" if move is None else f"{move.decrease_share:.1%}"
