"""What one segment leaves for the next one of this worker: encoded rows are gigabytes that take a second to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """One value under a key; gone once it was taken, another was asked for, or nobody came within `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock = seconds, Lock()
        self._held: tuple[str, Value] | None = None
        self._timer: Timer | None = None
        self._turn = 0

    def take(self, key: str, make: Callable[[], Value]) -> Value:
        """What was left under `key`, or what `make` makes; it is the caller's until it is left again."""
        with self._lock:
            held = self._clear()
        if held is not None and held[0] == key:
            return held[1]
        del held  # before another one is made
        return make()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep what was left, if anything was, for as long as the block takes; then it is left again."""
        with self._lock:
            held = self._clear()
        yield
        if held is not None:
            self.leave(*held)

    def leave(self, key: str, value: Value) -> None:
        """For the next one that asks for `key`."""
        with self._lock:
            self._clear()
            self._held = key, value
            self._turn += 1
            # told the turn, not the value: a cancelled timer's thread holds its arguments until it wakes
            self._timer = Timer(self._seconds, self._drop, [self._turn])
            self._timer.daemon = True
            self._timer.start()

    def _clear(self) -> tuple[str, Value] | None:
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return held

    def _drop(self, turn: int) -> None:
        with self._lock:
            if self._turn == turn:
                self._clear()
