"""`radius submit KIND --help-spec`: the fields of a kind of job."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.jobs import SPECS
from service.contracts.spec_fields import field_rows
from service.errors import InvalidInput


def print_spec_help(kind: str) -> None:
    """Print name, default and meaning of every field, and the command that sets one.

    Raises:
        InvalidInput: there is no such kind.
    """
    if kind not in SPECS:
        raise InvalidInput(f"the kinds of jobs are {', '.join(SPECS)}", field="kind")
    for spec in SPECS[kind]:
        table = Table(box=None, title=(spec.__doc__ or kind).split("\n")[0], title_justify="left", padding=(0, 2, 0, 0))
        table.add_column("field", no_wrap=True)
        table.add_column("default", overflow="fold", max_width=18)
        table.add_column("meaning and type", overflow="fold")
        for row in field_rows(spec):
            table.add_row(row.name, row.default, f"{row.meaning} ({row.type})")
        console.print(table)
    say(f"radius submit {kind} --preset PRESET --set FIELD=VALUE; `radius presets` lists presets")
