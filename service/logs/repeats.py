"""A limit on equal lines, so that one fault that occurs again and again does not fill a disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

_WINDOW_S = 60.0
_MOST = 1_000  # different lines that are counted; a window with more begins anew
_UNLIMITED = ("radius.access", "radius.audit")  # a line a request, which are equal by chance

_Line = tuple[str, int, str]


class RepeatLimit(logging.Filter):
    """Passes `most` equal lines of a logger in a minute; the first of the next minute says how many it dropped."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock, self._lock = most, clock, threading.Lock()
        self._since, self._seen, self._before = clock(), Counter[_Line](), Counter[_Line]()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name in _UNLIMITED:
            return True
        line = record.name, record.levelno, record.getMessage()
        with self._lock:
            if self._clock() - self._since >= _WINDOW_S or len(self._seen) >= _MOST:
                self._since, self._before, self._seen = self._clock(), self._seen, Counter()
            self._seen[line] += 1
            seen, left_out = self._seen[line], self._before.pop(line, 0) - self._most
        if seen <= self._most and left_out > 0:
            record.msg, record.args = f"{line[2]} (and {left_out} more times in the minute before)", None
        return seen <= self._most
