"""`radius up`: the API and the workers of this machine. `radius worker --devices`: its compute workers alone.

Both restart a process that died. One that exits with an error in the first half minute would do so at every start: that
ends them.
"""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

from service.binding import bind, url_of
from service.catalog.migrate import migrate
from service.children import Child, Children
from service.claim import Claim
from service.compute_workers import ComputeWorker, compute_workers, record_names
from service.jobs.engine import migrate_engine
from service.processes import module_command
from service.settings import Settings


@dataclass
class Supervisor:
    """Starts API and workers, restarts those that died, stops all.

    Attributes:
        url: the API's.
    """

    settings: Settings
    url: str = ""
    children: Children = field(init=False)
    _claim: Claim | None = None
    _listening: socket.socket | None = None

    def __post_init__(self) -> None:
        self.children = Children(self.settings.restart_delay_s)

    def start(self) -> None:
        """Migrate the database, open the API's socket, start everything.

        Raises:
            Conflict: another supervisor has this data directory.
            InvalidInput: an address that is not loopback, which needs API keys; a path that is too long; a device that
                there is not.
            OSError: the port is taken.
            StartFailed: the GPUs cannot be counted.
        """
        computing = compute_workers(self.settings)
        self.settings.make_folders()
        self._claim = Claim(self.settings.run_folder / "up.lock")
        listening = self._listening = bind(self.settings)  # kept open across restarts of the API
        self.url = url_of(self.settings, listening)
        self._claim.describe(self.url)
        migrate(self.settings.resolved_database_url)
        migrate_engine(self.settings.resolved_database_url)
        record_names(self.settings, computing)
        api = module_command("service.server", "--fd", str(listening.fileno()))
        control, query = (module_command("workers.main", "--role", role) for role in ("control", "query"))
        self.children.start(
            [
                self._child("api", api, (listening.fileno(),)),
                self._child("control", control),
                *(_compute_child(worker, self._log(worker.process)) for worker in computing),
                self._child("query", query),
            ]
        )

    def wait(self) -> None:
        """Block until a stop was requested; raises `StartFailed` when a child died at its start."""
        self.children.wait()

    def check(self) -> None:
        """Raise the failure that ended this supervisor, if one did."""
        self.children.check()

    def request_stop(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self.children.request_stop()

    def stop(self) -> None:
        """Stop all children, and free the port and the data directory."""
        self.children.stop()
        if self._listening is not None:
            self._listening.close()
        if self._claim is not None:
            self._claim.release()

    def child(self, name: str) -> Child:
        return next(child for child in self.children.all if child.name == name)

    def _child(self, name: str, command: list[str], descriptors: tuple[int, ...] = ()) -> Child:
        log = self._log(name)
        return Child(name, command, environment(self.settings, log), log, descriptors)

    def _log(self, name: str) -> Path:
        return self.settings.data_dir / "logs" / f"{name}.log"


def run_compute_workers(settings: Settings) -> None:
    """Run a compute worker for each device until SIGTERM or SIGINT.

    Raises:
        InvalidInput: a device that there is not.
        StartFailed: one of them ended at its start, or the GPUs cannot be counted.
    """
    computing = compute_workers(settings)
    settings.make_folders()
    record_names(settings, computing)
    children = Children(settings.restart_delay_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: children.request_stop())
    try:
        children.start([_compute_child(worker, _log_beside(settings.log_file, worker)) for worker in computing])
        children.wait()
    finally:
        children.stop()


def environment(settings: Settings, log: Path | None = None) -> dict[str, str]:
    """The environment of a child, which gives it the settings of this process, also those from the command line."""
    own = settings if log is None else settings.model_copy(update={"log_file": log})
    given = {f"RADIUS_{name.upper()}": value for name, value in own.model_dump(mode="json").items()}
    others = {name: value for name, value in os.environ.items() if name not in given}  # None stays unset
    return others | {name: str(value) for name, value in given.items() if value is not None}


def _compute_child(worker: ComputeWorker, log: Path | None) -> Child:
    command = module_command("workers.main", "--role", "compute", "--process", worker.process)
    return Child(worker.process, command, environment(worker.settings, log) | worker.variables, log)


def _log_beside(log: Path | None, worker: ComputeWorker) -> Path | None:
    """A file of its own for a worker beside the log of the process that starts it, where that has one."""
    return None if log is None else log.with_name(f"{log.stem}-{worker.process}{log.suffix}")
