"""A cache in memory whose contents stay within a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """The most recently used values whose costs together are at most `most`; threads may share it.

    A value that alone costs more is not kept.
    """

    def __init__(self, most: int, cost: Callable[[Value], int] = lambda _value: 1) -> None:
        self._most, self._cost, self._total = most, cost, 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used now; None where there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep the value, in the place of another of that key, and drop the least recently used ones over the limit."""
        with self._lock:
            if key in self._values:
                self._total -= self._cost(self._values.pop(key))
            if self._cost(value) > self._most:
                return
            self._values[key] = value
            self._total += self._cost(value)
            while self._total > self._most:
                self._total -= self._cost(self._values.popitem(last=False)[1])
