"""The set-up of a process's logs, by which all records have one format."""

from __future__ import annotations

import logging
import sys

from service.logs.files import LogFile
from service.logs.lines import JsonLines, TextLines
from service.logs.repeats import RepeatLimit
from service.settings import Settings

_QUIET = ("alembic", "dbos", "faiss", "fontTools", "httpx", "httpx2")  # at INFO some log URLs, paths or each step
LOGGED = "_radius_logged"  # on an exception whose trace the log has


class LoggedBefore(logging.Filter):
    """Drops the server's trace of an error that the product has logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and getattr(record.exc_info[1], LOGGED, False))


def begin_logging(settings: Settings, process: str) -> None:
    """Log to LOG_FILE, or to standard error, from INFO on; nothing where the program has set logging up before.

    Args:
        process: its name in each line: api, compute, …
    """
    to = logging.StreamHandler(sys.stderr)
    if settings.log_file is not None:
        to = LogFile(settings.log_file, settings.log_bytes, streams=(1, 2))
    _begin(settings, process, to)


def begin_supervisor_logging(settings: Settings) -> None:
    """Log to DATA_DIR/logs/up.log, and warnings to standard error too, where the command's own output is."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    _begin(settings, "up", LogFile(settings.data_dir / "logs" / "up.log", settings.log_bytes), terminal)


def _begin(settings: Settings, process: str, *handlers: logging.Handler) -> None:
    if logging.root.handlers:
        return
    for handler in handlers:
        handler.setFormatter((JsonLines if settings.log_format == "json" else TextLines)(process))
        handler.addFilter(RepeatLimit(settings.log_repeats))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn.error").addFilter(LoggedBefore())
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    engine = logging.getLogger("dbos")
    engine.addHandler(logging.NullHandler())  # with a handler of its own, the engine adds none and propagates
