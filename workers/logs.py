"""A worker's logs: one line for a job that fails for a known reason, a trace for what is unexpected."""

from __future__ import annotations

import logging

from dbos import PortableWorkflowError

from service.errors import RadiusError
from service.logs import setup
from service.settings import Settings


class KnownErrors(logging.Filter):
    """Drops the job engine's trace of an error of our own: the job has it, and the product logs it as one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, PortableWorkflowError | RadiusError)


def begin_logging(settings: Settings, role: str) -> None:
    """Log as every process does, each line with the worker's role."""
    setup.begin_logging(settings, role)
    logging.getLogger("dbos").addFilter(KnownErrors())
