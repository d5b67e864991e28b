"""A prepared value kept between two segments of a worker: encoded rows are gigabytes that take a second to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import Generic, TypeVar

Value = TypeVar("Value")


class PreparedValue(Generic[Value]):
    """Keeps at most one value, under a key, for `seconds`; taking it, or taking another key, removes it.

    Args:
        timer: class of the timers that end this time.
    """

    def __init__(self, seconds: float, timer: type[Timer] = Timer) -> None:
        self._seconds, self._new_timer, self._lock = seconds, timer, Lock()
        self._held: tuple[str, Value] | None = None
        self._timer: Timer | None = None
        self._generation = 0

    def take(self, key: str, make: Callable[[], Value]) -> Value:
        """The value stored under `key`, or a new one from `make`; it is the caller's until it is stored again."""
        with self._lock:
            held = self._clear()
        if held is not None and held[0] == key:
            return held[1]
        del held  # frees the memory before another value is made
        return make()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the time limit during the block."""
        with self._lock:
            held = self._clear()
        yield
        if held is not None:
            self.store(*held)

    def store(self, key: str, value: Value) -> None:
        """Keep a value for the next caller that takes `key`."""
        with self._lock:
            self._clear()
            self._held = key, value
            self._generation += 1
            # The generation, not the value: the thread of a cancelled timer holds its arguments until it ends.
            self._timer = self._new_timer(self._seconds, self._expire, [self._generation])
            self._timer.daemon = True
            self._timer.start()

    def _clear(self) -> tuple[str, Value] | None:
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return held

    def _expire(self, generation: int) -> None:
        with self._lock:
            if self._generation == generation:
                self._clear()
