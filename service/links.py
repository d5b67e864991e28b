"""Links in answers: they begin with the path below which a reverse proxy serves the API."""

from __future__ import annotations

from contextvars import ContextVar

ROOT_PATH: ContextVar[str] = ContextVar("root_path", default="")  # of the request that is being answered


def link(path: str) -> str:
    """`path`, such as `/v1/jobs/…`, as a client of the present request reaches it."""
    return ROOT_PATH.get() + path
