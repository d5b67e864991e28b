"""`radius theory …`: the closed forms on the command line; no service is needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from service.commands.output import console, print_json, say
from service.contracts.radius import FIGURE_FORMATS
from service.errors import InvalidInput, RadiusError
from service.processes import module_command

app = typer.Typer(help="The paper's closed forms, as printed and corrected.", no_args_is_help=True)

N = Annotated[int, typer.Option("--n", help="dimension")]
D = Annotated[int, typer.Option("--d", help="number of patterns")]
R = Annotated[float, typer.Option("--r", help="radius of every ball")]
MaybeN = Annotated[int | None, typer.Option("--n", help="dimension")]
MaybeD = Annotated[int | None, typer.Option("--d", help="number of patterns")]
MaybeR = Annotated[float | None, typer.Option("--r", help="radius of every ball")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


@app.command()
def radius(n: N, d: D = 80_000, as_json: AsJson = False) -> None:
    """Radius of a ball of volume 1, and of d balls with Z = 1."""
    from service.theory.radius import radius_theory

    _show(radius_theory(n, d), as_json)


@app.command()
def balls(n: N, r: R, as_json: AsJson = False) -> None:
    """Volume, area and integral (12) of a ball, with all bounds."""
    from service.theory.ball_bounds import balls_theory

    _show(balls_theory(n, r), as_json)


@app.command()
def partition(
    n: N,
    d: MaybeD = None,
    r: MaybeR = None,
    radii: Annotated[Path | None, typer.Option(help="a .npy list of radii, for --d and --r")] = None,
    as_json: AsJson = False,
) -> None:
    """Partition function (13) of d balls of radius r, or of balls with given radii."""
    from service.commands.reading import read_array
    from service.theory.partition import partition_of_radii_theory, partition_theory

    if radii is not None and d is None and r is None:
        _show(partition_of_radii_theory(n, read_array(radii, "radii")), as_json)
    elif radii is None and d is not None and r is not None:
        _show(partition_theory(n, d, r), as_json)
    else:
        raise InvalidInput("give either --d and --r, or --radii")


@app.command("unit-partition")
def unit_partition(n: MaybeN = None, d: MaybeD = None, r: MaybeR = None, as_json: AsJson = False) -> None:
    """Solve Z = 1: for the radius (--n, --d), the patterns (--n, --r) or the dimension (--d)."""
    from service.theory.unit_partition import unit_partition_theory

    _show(unit_partition_theory(n, d, r), as_json)


@app.command()
def loss(
    log_partition: Annotated[float | None, typer.Option(help="log Z of a layer")] = None,
    loss: Annotated[float | None, typer.Option(help="nats per pattern; gives both log Z")] = None,
    as_json: AsJson = False,
) -> None:
    """Loss of Prop. 4 at a partition function, or both partition functions of a loss."""
    from service.theory.loss import inverse_loss_theory, loss_theory

    if log_partition is not None and loss is None:
        _show(loss_theory(log_partition), as_json)
    elif loss is not None and log_partition is None:
        _show(inverse_loss_theory(loss), as_json)
    else:
        raise InvalidInput("give either --log-partition or --loss")


@app.command("loss-readings")
def loss_readings(
    n: N,
    d: D,
    r: R,
    tokens: Annotated[int, typer.Option(help="tokens of a pattern")] = 1024,
    as_json: AsJson = False,
) -> None:
    """Loss (15) of d balls under each reading of the layer energy."""
    from service.theory.loss_readings import loss_readings_theory

    _show(loss_readings_theory(n, d, r, tokens), as_json)


@app.command("scaling-laws")
def scaling_laws(
    parameters: Annotated[float, typer.Option("--N", help="parameters")],
    tokens: Annotated[float, typer.Option("--D", help="tokens")],
    as_json: AsJson = False,
) -> None:
    """Losses that the Chinchilla and Kaplan laws predict: --N 70e9 --D 1.4e12."""
    from service.theory.scaling_laws import scaling_laws_theory

    _show(scaling_laws_theory(parameters, tokens), as_json)


@app.command("transformer-size")
def transformer_size(
    model: Annotated[str | None, typer.Option(help="gpt2[-medium|-large|-xl] or openelm-m1|m2|m3")] = None,
    n_layers: Annotated[int | None, typer.Option(help="sizes of a GPT-2 without a name")] = None,
    d_model: Annotated[int | None, typer.Option(help="sizes of a GPT-2 without a name")] = None,
    as_json: AsJson = False,
) -> None:
    """Numbers of parameters, by appendix E and correct."""
    from service.theory.transformer_size import Gpt2Config, gpt2_size_theory, transformer_size_theory

    if model is not None and n_layers is None and d_model is None:
        _show(transformer_size_theory(model), as_json)
    elif model is None and n_layers is not None and d_model is not None:
        _show(gpt2_size_theory(Gpt2Config(n_layers, d_model)), as_json)
    else:
        raise InvalidInput("give either --model, or --n-layers and --d-model")


@app.command()
def balance(n: N = 1024, d: D = 80_000, as_json: AsJson = False) -> None:
    """Prop. 5: patterns and dimension with Z = 1, and the OpenELM models."""
    from service.theory.balance import balance_theory

    _show(balance_theory(n, d), as_json)


@app.command()
def figure1(
    out: Annotated[Path | None, typer.Option(help="draw it: a .png, .svg or .pdf file")] = None, as_json: AsJson = False
) -> None:
    """Fig. 1: the minima of E and E_MCHN on the paper's patterns, and the figure itself."""
    from service.theory.figure1 import figure1_theory

    if out is not None and out.suffix.removeprefix(".") not in FIGURE_FORMATS:
        raise InvalidInput("the figure's name must end in .png, .svg or .pdf", field="out")
    _show(figure1_theory(), as_json)
    if out is not None and subprocess.run(_draw_command(out), check=False).returncode != 0:
        raise RadiusError("the figure could not be drawn; the reason is above")


@app.command("table-1")
def table_1(as_json: AsJson = False) -> None:
    """Table 1: Hopfield networks, their energies and capacities."""
    from service.theory.hopfield_capacities import hopfield_capacities_theory

    _show(hopfield_capacities_theory(), as_json)


@app.command("table-2")
def table_2(as_json: AsJson = False) -> None:
    """Table 2: reported losses beside predicted ones."""
    from service.theory.reported_losses import reported_losses_theory

    _show(reported_losses_theory(), as_json)


@app.command("table-3")
def table_3(
    threshold: Annotated[float, typer.Option(help="σ², in nats²")] = 0.04,
    strict: Annotated[bool, typer.Option(help="below the threshold, or at most it")] = True,
    as_json: AsJson = False,
) -> None:
    """Table 3: D* and N/D*² as printed, and by the paper's rule."""
    from service.theory.stopping_table import stopping_table_theory

    _show(stopping_table_theory(threshold, strict=strict), as_json)


def _draw_command(out: Path) -> list[str]:
    """The command that draws the figure in another process: only workers import matplotlib."""
    return module_command("workers.figures.figure1", "--out", str(out))


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    literal, corrected = _flat(answer["paper_literal"]), _flat(answer["corrected"])
    if literal or corrected:
        table = Table("quantity", box=None)
        for heading in ("as printed", "corrected"):
            table.add_column(heading, justify="right", overflow="fold")
        for name in literal | corrected:
            table.add_row(name, literal.get(name, ""), corrected.get(name, ""))
        console.print(table)
    for title, rows in _row_tables(answer):
        console.print(_rows_table(title, rows))
    for note in answer["notes"]:
        say(note, "note", "yellow")


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """All values by dotted name, without lists of rows."""
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        elif not _is_rows(value):
            found[prefix + name] = _text(value)
    return found


def _row_tables(answer: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for side, heading in (("paper_literal", "as printed"), ("corrected", "corrected")):
        yield from _rows_within(answer[side], heading)


def _rows_within(content: dict[str, Any], heading: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _rows_within(value, f"{heading}, {name}")
        elif _is_rows(value):
            yield heading, value


def _rows_table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(*rows[0], title=title, title_justify="left", box=None)
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"({_text(part)})" if _is_point(part) else _text(part) for part in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.9g}"
