"""The end of a job that a client waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.contracts.jobs import FINAL_STATES, Job
from service.errors import RadiusError

Watch = Callable[[Job], None]


class JobFailed(RadiusError):
    """A job that was waited for ended in another state than `succeeded`; `job` is that job."""

    code = "job_failed"

    def __init__(self, detail: str, job: Job | None = None, *, field: str | None = None) -> None:
        super().__init__(detail, field=field)
        self.job = job


@dataclass(frozen=True)
class Finished:
    """A job that succeeded, and its products' ids."""

    job: Job

    @property
    def reports(self) -> list[str]:
        return self._products("radius")

    @property
    def energies(self) -> list[str]:
        return self._products("energy")

    @property
    def profiles(self) -> list[str]:
        return self._products("profile")

    @property
    def runs(self) -> list[str]:
        return self._products("training")

    @property
    def activations(self) -> list[str]:
        return self._products("activations")

    def __repr__(self) -> str:
        return repr(self.job)

    def _products(self, kind: str) -> list[str]:
        return [result.id for result in self.job.results if result.type == kind]


def outcome_of(job: Job) -> Finished | None:
    """None while the job goes on.

    Raises:
        JobFailed: it ended otherwise than `succeeded`; the message is the job's error.
    """
    if job.state not in FINAL_STATES:
        return None
    if job.state != "succeeded":
        error = job.error or {"detail": f"the job was {job.state}"}
        raise JobFailed(error["detail"], job)
    return Finished(job)
