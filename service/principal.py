"""The sender of a request: a key of a project, with a scope. Without keys everyone administers the one project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)  # each includes those before it
DEFAULT_PROJECT = "default"


@dataclass(frozen=True)
class Principal:
    """The sender of a request; `key` is the name of the key, None in a service without keys."""

    key: str | None
    project: str
    scope: Scope

    def may(self, scope: Scope) -> bool:
        """Whether its scope includes `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


LOCAL = Principal(None, DEFAULT_PROJECT, "admin")
