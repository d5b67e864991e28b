"""What a worker logs: one line for a job that fails for a known reason, a trace for what is unexpected."""

from __future__ import annotations

import logging

from dbos import PortableWorkflowError

from service.errors import RadiusError


class KnownErrors(logging.Filter):
    """Drops the job engine's trace of an error of our own: the job has it, and the product logs it as one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, PortableWorkflowError | RadiusError)


def begin_logging(role: str) -> None:
    """Log to standard error, each line with its time and the worker's role."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(levelname)s %(message)s")
    logging.getLogger("dbos").addFilter(KnownErrors())
