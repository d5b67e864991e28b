"""The system calls by which this process changes the disk: counted, and at a chosen one it dies or is refused.

For child processes of tests only: `watch` replaces functions of `os` and the opening of files for good.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CHANGING = ("fsync", "replace", "rename", "mkdir", "rmdir", "unlink", "remove", "link", "symlink", "truncate")
GROWING = ("open", "write", "mkdir", "link", "symlink", "replace", "rename")
_open, _write = io.open, os.write


@dataclass(frozen=True)
class Fault:
    """What goes wrong at the call of number `at`: the process dies, stands still, or is refused with an error number.

    Attributes:
        signal: that ends or stops the process, where there is no error number.
        names: calls that are refused.
        lasting: later calls of those names are refused too, as on a disk that is full.
    """

    at: int
    error: int | None = None
    names: tuple[str, ...] = ()
    lasting: bool = False
    signal: signal.Signals = signal.SIGKILL

    def reached(self, number: int, name: str) -> None:
        if number == self.at and self.error is None:
            os.kill(os.getpid(), self.signal)
        due = number >= self.at if self.lasting else number == self.at
        if due and self.error is not None and name in self.names:
            raise OSError(self.error, os.strerror(self.error))


@dataclass
class Calls:
    """Every changing call below a folder so far, as (name, path, path it was renamed or linked to).

    A write counts twice: before it began and half-way.
    """

    root: str
    fault: Fault | None = None
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def reach(self, name: str, path: str, to: str = "") -> None:
        if path.startswith(self.root):
            self.seen.append((name, path, to))
            if self.fault is not None:
                self.fault.reached(len(self.seen) - 1, name)


def watch(calls: Calls) -> None:
    """From now on `calls` sees every change of a file below its root."""
    for name in CHANGING:
        setattr(os, name, _seen_first(calls, name, getattr(os, name)))

    def opened(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+") or not isinstance(file, str | os.PathLike):
            return _open(file, mode, buffering, *arguments, **options)
        raw = _File(calls, os.fspath(file), mode)
        buffered = raw if buffering == 0 else io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *arguments, **options)  # type: ignore[arg-type]

    builtins.open = io.open = opened  # type: ignore[assignment]


def _seen_first(calls: Calls, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def seen(*arguments: Any, **options: Any) -> Any:
        to = _path_of(arguments[1], None) if name in ("replace", "rename", "link") else ""
        path = _path_of(arguments[0], options.get("dir_fd"))
        if name != "mkdir" or not os.path.isdir(path):  # which changes nothing
            calls.reach(name, path, to)
        return call(*arguments, **options)

    return seen


def _path_of(given: Any, folder: int | None) -> str:
    if isinstance(given, int):
        return os.readlink(f"/proc/self/fd/{given}")
    within = "" if folder is None else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.abspath(os.path.join(within, os.fsdecode(given)))


class _File(io.FileIO):
    """A file whose writes are seen; each is done in two halves."""

    def __init__(self, calls: Calls, path: str, mode: str) -> None:
        self.calls, self.path = calls, os.path.abspath(path)
        calls.reach("open", self.path)
        super().__init__(path, mode.replace("b", "").replace("t", ""))

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        half = len(view) // 2
        self.calls.reach("write", self.path)
        done = _write(self.fileno(), view[:half]) if half else 0
        self.calls.reach("write", self.path)
        while done < len(view):
            done += _write(self.fileno(), view[done:])
        return done
