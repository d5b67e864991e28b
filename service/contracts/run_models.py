"""The name of a model that a training run kept: `run:{id}@{step}`, or `run:{id}` for the newest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.errors import InvalidInput

_PREFIX = "run:"
_NAME = re.compile(r"^run:(run-[0-9a-f]{1,64})(?:@([0-9]{1,18}))?$")


@dataclass(frozen=True)
class RunModel:
    """A kept model; `step` None is the newest."""

    run: str
    step: int | None

    def __str__(self) -> str:
        return f"{_PREFIX}{self.run}" + ("" if self.step is None else f"@{self.step}")


def parse_run_model(name: str) -> RunModel | None:
    """The kept model that `name` names; None when it names a folder or a hub's model.

    Raises:
        InvalidInput: it begins with `run:` and is not such a name.
    """
    if not name.startswith(_PREFIX):
        return None
    match = _NAME.match(name)
    if match is None:
        raise InvalidInput("a kept model is run:{id}@{step}, or run:{id}", field="model")
    return RunModel(match[1], None if match[2] is None else int(match[2]))
