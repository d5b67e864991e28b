"""A service of a command's own, for as long as the command runs, and what it makes visible to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.client import Client
from service.errors import InvalidInput, Unavailable
from service.settings import Settings
from service.supervisor import Supervisor

_READY_S, _ANSWER_S = 120.0, 2.0


@contextmanager
def own_service(settings: Settings) -> Iterator[Supervisor]:
    """Start API and workers, wait until they accept jobs, stop them at the end.

    Raises:
        StartFailed: one of the processes has failed at its start.
        Unavailable: they do not accept jobs within two minutes.
    """
    supervisor = Supervisor(settings)
    try:
        supervisor.start()
        _wait_until_ready(supervisor)
        yield supervisor
    finally:
        supervisor.stop()


def answers(url: str) -> bool:
    """Whether a service at that address accepts jobs now."""
    with Client(url, timeout_s=_ANSWER_S) as client:
        try:
            client.wait_until_ready(_ANSWER_S)
        except Unavailable:
            return False
    return True


def link_below(path: Path, root: Path) -> str | None:
    """Make a local file or folder visible under a root of the service; None when there is no such path."""
    if not path.exists():
        return None
    path = path.resolve()
    if path.is_relative_to(root.resolve()):
        return path.relative_to(root.resolve()).as_posix()
    link = root / path.name
    if link.is_symlink():
        link.unlink()
    if link.exists():
        raise InvalidInput(f"{link} exists already, so it cannot become a link to {path}")
    link.symlink_to(path)
    return link.name


def _wait_until_ready(supervisor: Supervisor) -> None:
    """Wait for the API; raises `StartFailed` as soon as a process has failed at its start."""
    deadline = time.monotonic() + _READY_S
    with Client(supervisor.url, timeout_s=_ANSWER_S) as client:
        while True:
            supervisor.check()
            try:
                return client.wait_until_ready(_ANSWER_S)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
