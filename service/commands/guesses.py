"""Suggestions where a command does not exist, or an id is of another kind."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from service.errors import InvalidInput, NotFound, RadiusError

_MEANT = {
    "analyse": "submit analysis",
    "analyze": "submit analysis",
    "analysis": "submit analysis",
    "ask": "query",
    "check": "doctor",
    "info": "doctor",
    "list": "jobs",
    "ls": "jobs",
    "page": "open",
    "ps": "jobs",
    "result": "report",
    "results": "report",
    "run": "submit",
    "search": "query",
    "serve": "up",
    "show": "report",
    "start": "up",
    "status": "jobs",
    "stop": "cancel",
    "train": "submit training",
    "upload": "import",
    "wait": "watch",
}
_IDS = {  # by their beginnings: what each is, and the command for it
    "act": ("an activation set", "radius query {} TEXT"),
    "corpus": ("a corpus", "radius corpora"),
    "energy": ("an energy report", "radius report {}"),
    "job": ("a job", "radius watch {}"),
    "profile": ("a profile", "radius report {}"),
    "radius": ("a radius report", "radius report {}"),
    "reproduction": ("a reproduction", "radius report {}"),
    "run": ("a training run", "radius report {}"),
    "sweep": ("a sweep", "radius report {}"),
}
_LISTED = {  # what is missing: the command that lists what there is
    "no such activation set": "sets",
    "no such corpus": "corpora",
    "no such job": "jobs",
    "no such preset": "presets",
}


class Commands(TyperGroup):
    """A group that names the right command where a person typed the name that another program gives it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve a command as every group does; the error names the command that was probably meant."""
        meant = _MEANT.get(args[0]) if args else None
        if meant is not None and args[0] not in self.commands:
            ctx.fail(f"No such command '{args[0]}'. Did you mean `radius {meant}`?")
        return super().resolve_command(ctx, args)


def expect(given: str, kind: str) -> None:
    """Refuse an id whose prefix shows another kind than the command takes.

    Raises:
        InvalidInput: the message names the kind of the id, and the command that takes it.
    """
    beginning = given.split("-", 1)[0]
    if beginning == kind or beginning not in _IDS or "-" not in given:
        return
    what, command = _IDS[beginning]
    raise InvalidInput(f"{given} is {what}, not {_IDS[kind][0]}: `{command.format(given)}`")


def advice(error: RadiusError) -> str:
    """The command that lists what exists, where an error says that something is missing; otherwise an empty string."""
    if not isinstance(error, InvalidInput | NotFound):
        return ""
    listed = next((command for missing, command in _LISTED.items() if missing in error.detail), None)
    return "" if listed is None else f"; `radius {listed}` lists what there is"
