"""Real processes that start at once: forked from a server that has imported the heavy libraries already.

They are processes of their own in every other way; only the seconds of importing torch are saved, so that a test can
kill more of them.
"""

# One database: a process reads its settings from the environment.

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from service.children import die_with_parent

# Nothing here defines workflows: a worker imports those of its role only.
_PRELOADED = [
    "PIL.JpegImagePlugin",
    "_sqlite3",
    "dbos",
    "service.server",
    "transformers.models.gpt2.modeling_gpt2",
    "workers.activations.extraction",
    "workers.activations.parity",
    "workers.energy",
    "workers.figures.energy",
    "workers.figures.radius",
    "workers.main",
    "workers.models.gpt2",
    "workers.models.loading",
    "workers.neighbors",
    "workers.corpora.sources",
    "workers.corpora.sampling",
    "tests.faults.processes",
    "tests.api.products",
]


def forkserver() -> ForkServerContext:
    """The context whose processes are forked from the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def start_worker(environment: dict[str, str], role: str, log: Path) -> ForkServerProcess:
    """`python -m workers.main --role ROLE`, in that environment."""
    return _start(_work, environment, role, log)


def start_api(environment: dict[str, str], listening: socket.socket, log: Path) -> ForkServerProcess:
    """`python -m service.server` on that socket, in that environment."""
    return _start(_serve, environment, listening, log)


def _start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    process = forkserver().Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def _work(environment: dict[str, str], role: str, log: Path) -> None:
    _become(environment, log)
    from workers.main import main

    sys.argv = ["radius worker", "--role", role]
    main()


def _serve(environment: dict[str, str], listening: socket.socket, log: Path) -> None:
    _become(environment, log)
    from service.server import serve
    from service.settings import Settings

    serve(Settings(), listening)


def _become(environment: dict[str, str], log: Path) -> None:
    """What the supervisor gives its children: their environment, their log, and the end when their parent ends."""
    die_with_parent()
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # What this process leaves behind when it is killed is not for the tracker of the test's own process to tell.
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None
