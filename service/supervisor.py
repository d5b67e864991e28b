"""`radius up`: the API and the workers of this machine as child processes, restarted when they die.

A child that exits with an error in the first half minute would do so at every start: that ends `radius up`.
"""

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
from service.claim import Claim
from service.errors import StartFailed
from service.jobs.engine import migrate_engine
from service.processes import DEVICE_LOST, NOT_YET, REPLACED, STUCK, module_command
from service.settings import Settings

_PR_SET_PDEATHSIG = 1
_STOP_S = 8.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
_START_S = 30.0
_SHOWN_LINES, _SHOWN_BYTES = 5, 4096
logger = logging.getLogger(__name__)


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: list[str]
    log: Path
    log_start: int = 0
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started: float = 0.0
    reported: bool = False


@dataclass
class Supervisor:
    """Starts the children, restarts those that died, stops all.

    Attributes:
        url: the API's.
        failure: why it ended by itself; None while it runs, and after a stop that was requested.
    """

    settings: Settings
    url: str = ""
    failure: StartFailed | None = None
    children: list[Child] = field(default_factory=list)
    _claim: Claim | None = None
    _listening: socket.socket | None = None
    _watcher: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Migrate the database, open the API's socket, start everything.

        Raises:
            Conflict: another supervisor has this data directory.
            InvalidInput: an address that is not loopback, which needs API keys; a path that is too long.
            OSError: the port is taken.
        """
        self.settings.make_folders()
        self._claim = Claim(self.settings.run_folder / "up.lock")
        listening = self._listening = bind(self.settings)  # kept open across restarts of the API
        self.url = url_of(self.settings, listening)
        self._claim.describe(self.url)
        migrate(self.settings.resolved_database_url)
        migrate_engine(self.settings.resolved_database_url)
        self._add("api", module_command("service.server", "--fd", str(listening.fileno())), (listening.fileno(),))
        for role in ("control", "compute", "query"):
            self._add(role, module_command("workers.main", "--role", role))
        for child in self.children:
            self._spawn(child)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def wait(self) -> None:
        """Block until a stop was requested; raises `StartFailed` when a child died at its start."""
        self._stopping.wait()
        self.check()

    def check(self) -> None:
        """Raise the failure that ended this supervisor, if one did."""
        if self.failure is not None:
            raise self.failure

    def request_stop(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Send SIGTERM to all children, and SIGKILL to those that still run after 8 seconds."""
        with self._starting:
            self._stopping.set()
        logger.info("stopping all processes")
        living = [child.process for child in self.children if child.process is not None]
        for process in living:
            process.terminate()  # no effect on one that has ended
        deadline = time.monotonic() + _STOP_S
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("process %d did not end within %g s and is killed", process.pid, _STOP_S)
                process.kill()
                process.wait()
        logger.info("all processes have stopped")
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._listening is not None:
            self._listening.close()
        if self._claim is not None:
            self._claim.release()

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _add(self, name: str, command: list[str], descriptors: tuple[int, ...] = ()) -> None:
        log = self.settings.data_dir / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self.children.append(Child(name, command, log, descriptors=descriptors))

    def _spawn(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.log_start = log.seek(0, os.SEEK_END)
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.settings.model_copy(update={"log_file": child.log})),
                pass_fds=child.descriptors,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops them
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )
        child.starts += 1
        child.started, child.reported = time.monotonic(), False
        logger.info("%s started, process %d", child.name, child.process.pid)

    def _watch(self) -> None:
        while not self._stopping.wait(self.settings.restart_delay_s):
            for child in self.children:
                with self._starting:
                    if not self._stopping.is_set():
                        self._restart_if_dead(child)
        self._ended.wait()  # PR_SET_PDEATHSIG fires when the thread that started a child ends

    def _restart_if_dead(self, child: Child) -> None:
        if child.process is None or (code := child.process.poll()) is None:
            return
        if self._failed_at_start(child, code):
            detail = f"the {child.name} process ended at its start with exit code {code}; the end of {child.log}:"
            self.failure = StartFailed("\n".join([detail, *_last_lines(child)]))
            self._stopping.set()
            return
        if time.monotonic() - child.started > _STEADY_S and not child.reported:
            child.starts = 1
        if not child.reported:
            child.reported = True
            after_s = time.monotonic() - child.started
            logger.warning("%s %s after %.1f s; it is started again", child.name, ending(code), after_s)
        if time.monotonic() - child.started < self._pause(child):
            return
        try:
            self._spawn(child)
        except OSError:  # no memory or descriptor for a fork; this thread must go on, its children die with it
            logger.exception("%s could not be restarted", child.name)

    @staticmethod
    def _failed_at_start(child: Child, code: int) -> bool:
        """Whether the first start of a child ended at once by an error of its own: not by a signal, nor for a while."""
        early = child.starts == 1 and time.monotonic() - child.started < _START_S
        return early and code > 0 and code not in (REPLACED, STUCK, DEVICE_LOST, NOT_YET)

    def _pause(self, child: Child) -> float:
        """Seconds before the next start: doubled for every start that did not last, 30 s at most."""
        return min(_LONGEST_PAUSE_S, self.settings.restart_delay_s * 2 ** min(child.starts - 1, 16))


_MEANINGS = {
    REPLACED: "ended, because another worker has its name",
    STUCK: "ended, because its segment hung after the end of the job",
    NOT_YET: "could not start yet: the database is away, or another worker has its name",
}


def ending(code: int) -> str:
    """The end of a process in words, by its exit code; a negative one is a signal."""
    if code < 0:
        return f"was killed by signal {-code} ({signal.strsignal(-code)})"
    return _MEANINGS.get(code, "ended" if code == 0 else f"failed with exit code {code}")


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a child, which gives it the settings of this process, also those from the command line."""
    given = {f"RADIUS_{name.upper()}": value for name, value in settings.model_dump(mode="json").items()}
    others = {name: value for name, value in os.environ.items() if name not in given}  # None stays unset
    return others | {name: str(value) for name, value in given.items() if value is not None}


def _last_lines(child: Child) -> list[str]:
    """The end of what a child wrote to its log."""
    with child.log.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(child.log_start if child.log_start <= end else 0, end - _SHOWN_BYTES))  # it may have been renamed
        return log.read().decode(errors="replace").splitlines()[-_SHOWN_LINES:]


def _die_with_parent() -> None:
    """Let the kernel end this child when the supervisor ends, even by SIGKILL, so that no orphan holds a lock."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
