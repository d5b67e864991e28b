"""`radius up`: the API and the workers of this machine as child processes, restarted when they die."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from service.binding import bind, url_of
from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
from service.settings import Settings

_PR_SET_PDEATHSIG = 1
_STOP_S = 8.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
logger = logging.getLogger(__name__)


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: list[str]
    log: Path
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started: float = 0.0


@dataclass
class Supervisor:
    """Starts the children, restarts those that died, stops all. `url` is the API's."""

    settings: Settings
    url: str = ""
    children: list[Child] = field(default_factory=list)
    _listening: socket.socket | None = None
    _watcher: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Migrate the database, open the API's socket, start everything.

        Raises:
            InvalidInput: an address that is not loopback, which needs API keys.
            OSError: the port is taken.
        """
        listening = self._listening = bind(self.settings)  # kept open across restarts of the API
        self.url = url_of(self.settings, listening)
        self.settings.make_folders()
        migrate(self.settings.resolved_database_url)
        migrate_engine(self.settings.resolved_database_url)
        self._add("api", ["service.server", "--fd", str(listening.fileno())], (listening.fileno(),))
        self._add("control", ["workers.main", "--role", "control"])
        self._add("compute", ["workers.main", "--role", "compute"])
        self._add("query", ["workers.main", "--role", "query"])
        for child in self.children:
            self._spawn(child)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def wait(self) -> None:
        """Block until a stop was requested."""
        self._stopping.wait()

    def request_stop(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Send SIGTERM to all children, and SIGKILL to those that still run after 8 seconds."""
        with self._starting:
            self._stopping.set()
        living = [child.process for child in self.children if child.process is not None]
        for process in living:
            process.terminate()  # no effect on one that has ended
        deadline = time.monotonic() + _STOP_S
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._listening is not None:
            self._listening.close()

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _add(self, name: str, module: list[str], descriptors: tuple[int, ...] = ()) -> None:
        log = self.settings.data_dir / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self.children.append(Child(name, [sys.executable, "-m", *module], log, descriptors))

    def _spawn(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.settings),
                pass_fds=child.descriptors,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops them
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )
        child.starts += 1
        child.started = time.monotonic()

    def _watch(self) -> None:
        while not self._stopping.wait(self.settings.restart_delay_s):
            for child in self.children:
                with self._starting:
                    if not self._stopping.is_set():
                        self._restart_if_dead(child)
        self._ended.wait()  # PR_SET_PDEATHSIG fires when the thread that started a child ends

    def _restart_if_dead(self, child: Child) -> None:
        if child.process is None or child.process.poll() is None:
            return
        if time.monotonic() - child.started > _STEADY_S:
            child.starts = 1
        if time.monotonic() - child.started < self._pause(child):
            return
        try:
            self._spawn(child)
        except OSError:  # no memory or descriptor for a fork; this thread must go on, its children die with it
            logger.exception("%s could not be restarted", child.name)

    def _pause(self, child: Child) -> float:
        """Seconds before the next start: doubled for every start that did not last, 30 s at most."""
        return min(_LONGEST_PAUSE_S, self.settings.restart_delay_s * 2 ** min(child.starts - 1, 16))


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a child, which gives it the settings of this process, also those from the command line."""
    given = {f"RADIUS_{name.upper()}": value for name, value in settings.model_dump(mode="json").items()}
    others = {name: value for name, value in os.environ.items() if name not in given}  # None stays unset
    return others | {name: str(value) for name, value in given.items() if value is not None}


def _die_with_parent() -> None:
    """Let the kernel end this child when the supervisor dies, even by SIGKILL, so that no orphan holds a lock."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
