"""Child processes that are restarted when they die, and stopped together.

A child that exits with an error in the first half minute would do so at every start: that ends all of them.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import StartFailed
from service.processes import DEVICE_LOST, NOT_YET, REPLACED, STUCK

_PR_SET_PDEATHSIG = 1
_STOP_S = 8.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
_START_S = 30.0
_SHOWN_LINES, _SHOWN_BYTES = 5, 4096
logger = logging.getLogger(__name__)


@dataclass
class Child:
    """One child process; without `log` it writes to the standard streams of its parent."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path | None = None
    descriptors: tuple[int, ...] = ()
    log_start: int = 0
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started: float = 0.0
    reported: bool = False


@dataclass
class Children:
    """Starts child processes, restarts those that died, stops all.

    Attributes:
        failure: why they ended by themselves; None while they run, and after a stop that was requested.
    """

    restart_delay_s: float
    failure: StartFailed | None = None
    all: list[Child] = field(default_factory=list)
    _watcher: threading.Thread | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def start(self, children: list[Child]) -> None:
        """Start these, and begin to restart those that die."""
        self.all = children
        for child in children:
            _spawn(child)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def wait(self) -> None:
        """Block until a stop was requested; raises `StartFailed` when a child died at its start."""
        self._stopping.wait()
        self.check()

    def check(self) -> None:
        """Raise the failure that ended the children, if one did."""
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
        living = [child.process for child in self.all if child.process is not None]
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

    def _watch(self) -> None:
        while not self._stopping.wait(self.restart_delay_s):
            for child in self.all:
                with self._starting:
                    if not self._stopping.is_set():
                        self._restart_if_dead(child)
        self._ended.wait()  # PR_SET_PDEATHSIG fires when the thread that started a child ends

    def _restart_if_dead(self, child: Child) -> None:
        if child.process is None or (code := child.process.poll()) is None:
            return
        if _failed_at_start(child, code):
            self.failure = StartFailed(_failure(child, code))
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
            _spawn(child)
        except OSError:  # no memory or descriptor for a fork; this thread must go on, its children die with it
            logger.exception("%s could not be restarted", child.name)

    def _pause(self, child: Child) -> float:
        """Seconds before the next start: doubled for every start that did not last, 30 s at most."""
        return min(_LONGEST_PAUSE_S, self.restart_delay_s * 2 ** min(child.starts - 1, 16))


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


def die_with_parent() -> None:
    """Let the kernel end this child when its parent ends, even by SIGKILL, so that no orphan holds a lock."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _spawn(child: Child) -> None:
    if child.log is None:
        _begin(child, None)
    else:
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("ab") as log:
            child.log_start = log.seek(0, os.SEEK_END)
            _begin(child, log.fileno())
    assert child.process is not None
    child.starts += 1
    child.started, child.reported = time.monotonic(), False
    logger.info("%s started, process %d", child.name, child.process.pid)


def _begin(child: Child, output: int | None) -> None:
    child.process = subprocess.Popen(
        child.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=child.environment,
        pass_fds=child.descriptors,
        start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops them
        preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
    )


def _failed_at_start(child: Child, code: int) -> bool:
    """Whether the first start of a child ended at once by an error of its own: not by a signal, nor for a while."""
    early = child.starts == 1 and time.monotonic() - child.started < _START_S
    return early and code > 0 and code not in (REPLACED, STUCK, DEVICE_LOST, NOT_YET)


def _failure(child: Child, code: int) -> str:
    ended = f"the {child.name} process ended at its start with exit code {code}"
    if child.log is None:
        return f"{ended}; its own lines say why"
    return "\n".join([f"{ended}; the end of {child.log}:", *_last_lines(child.log, child.log_start)])


def _last_lines(log: Path, start: int) -> list[str]:
    """The end of what a child has written to its log since its start."""
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(start if start <= end else 0, end - _SHOWN_BYTES))  # it may have been renamed
        return file.read().decode(errors="replace").splitlines()[-_SHOWN_LINES:]
