"""The page of the command line: what `--help` says of every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from service.cli import app
from tests.docs.field_tables import code, table


def command_line_page() -> str:
    root = typer.main.get_command(app)
    parts = [
        "# Command line\n\n`radius --install-completion` turns on completion in the shell. `--json` prints JSON on "
        "standard output; progress and messages are on standard error. Exit codes: 0 done, 1 failed, 2 wrong usage or "
        "refused input, 3 service unreachable, 130 interrupted.\n"
    ]
    return "\n".join([*parts, *(_section(name, command) for name, command in _commands("radius", root))])


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command without commands of its own, with its whole name, in the order of the names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for inner in sorted(below):
        yield from _commands(f"{name} {inner}", below[inner])


def _section(name: str, command: Any) -> str:
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    usage = " ".join([name, *(_name(parameter) for parameter in parameters if _is_argument(parameter))])
    rows = [
        (code(_name(parameter)), _default(parameter), getattr(parameter, "help", None) or "")
        for parameter in parameters
    ]
    text = (command.help or "").strip().split("\f")[0]
    return f"## {name}\n\n`{usage}`\n\n{text}\n\n" + (table(("option", "default", "meaning"), rows) if rows else "")


def _is_argument(parameter: Any) -> bool:
    return parameter.param_type_name == "argument"


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return str(parameter.name).upper()
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value is None or value is False or callable(value) or value == () else code(str(value))
