"""A log record as one line: of text for people, or of JSON for programs."""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that is being answered


class TextLines(logging.Formatter):
    """`time process LEVEL message [request id]`; a trace follows on lines of its own."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        end = "" if request_id is None else f" [{request_id}]"
        line = f"{_time(record)} {self._process} {record.levelname} {_one_line(record.getMessage())}{end}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonLines(logging.Formatter):
    """An object a line: `time`, `process`, `level`, `logger`, `message`, then `request_id`, fields and `trace`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "process": self._process,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info is not None:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _one_line(message: str) -> str:
    """The message without control characters, so that nobody's text begins a line of the log."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in message)
