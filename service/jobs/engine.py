"""The client side of the job engine (DBOS). The worker side is in `workers/flows`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowSerializationFormat

from service.catalog.engine import database_errors, make_engine

APP_NAME = "radius"
APP_VERSION = "jobs-6"  # bump by hand when the order of steps in a workflow changes
CONTROL_QUEUE = "control"
TRAININGS_QUEUE = "trainings"  # of trainings and sweeps: they take days, and other jobs must not wait until one ends
COMPUTE_QUEUE = "compute"
TRAIN_QUEUE = "train"
RUNS_QUEUE = "runs"  # of the runs of sweeps: they wait on segments, and sweeps on them
SCAN_WORKFLOW = "scan"
CALIBRATE_WORKFLOW = "calibrate"
SEGMENT_WORKFLOW = "segment"
RUN_WORKFLOW = "run"
ENDED_BADLY = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]  # the engine's words
_LONG = ("training", "sweep")


def migrate_engine(url: str) -> None:
    """Create or upgrade the engine's own tables. Safe to repeat."""
    DBOS.migrate(engine_url(url))


def engine_url(url: str) -> str:
    """`url` as the engine wants it: without a driver name on PostgreSQL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql")
    return parsed.render_as_string(hide_password=False)


def run_id(job_id: str, retry: int) -> str:
    """Id of the workflow that runs a job: its own, and another one for each retry."""
    return f"{job_id}~{retry}" if retry else job_id


def scan_run_id(corpus_id: str) -> str:
    """Id of the workflow that counts a corpus."""
    return f"scan-{corpus_id}"


def options_for(workflow: str, queue: str, workflow_id: str, priority: int) -> EnqueueOptions:
    """How a workflow is enqueued: always under an id of ours (so that a repeat is the same one) and as JSON."""
    return {
        "workflow_name": workflow,
        "queue_name": queue,
        "workflow_id": workflow_id,
        "app_version": APP_VERSION,
        "priority": priority,
        "serialization_type": WorkflowSerializationFormat.PORTABLE,
    }


def _is_of(workflow_id: str, job_id: str) -> bool:
    """A job's workflows are `job`, `job~1` and `job.segment`, `job~1.segment`; a prefix alone says too much."""
    return workflow_id == job_id or workflow_id.startswith((f"{job_id}.", f"{job_id}~"))


class JobEngine:
    """Enqueues workflows, inside the caller's transaction, and asks how they ended.

    Every call raises `Unavailable` while the database is away or lacks the engine's tables. With `answer_s`, none waits
    longer for an answer of PostgreSQL.
    """

    def __init__(self, url: str, answer_s: float | None = None) -> None:
        self._engine = make_engine(url, answer_s) if sa.make_url(url).get_backend_name() == "postgresql" else None
        self._client = DBOSClient(
            system_database_url=engine_url(url),
            system_database_engine=self._engine,
            application_name=APP_NAME,
            lazy=True,
            retry_connection_errors=False,
        )

    @database_errors()
    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and has the engine's tables."""
        self._client.list_workflows(workflow_ids=[""], load_input=False, load_output=False)

    @database_errors()
    def enqueue(self, connection: sa.Connection, workflow: str, workflow_id: str, priority: int, *args: Any) -> None:
        """Enqueue on a queue of the control worker; it starts if and when `connection`'s transaction commits."""
        queue = TRAININGS_QUEUE if workflow in _LONG else CONTROL_QUEUE
        options = options_for(workflow, queue, workflow_id, priority)
        self._client.enqueue_in_transaction(connection, options, *args)

    @database_errors()
    def cancel(self, run: str) -> None:
        """Stop dispatching anything of one run of a job, see `run_id`; what runs is told by its next progress write.

        Of one run only: the job may have been taken up again since somebody decided to stop it.
        """
        found = self._client.list_workflows(
            workflow_id_prefix=run, status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False
        )
        mine = [status.workflow_id for status in found if status.workflow_id.partition(".")[0] == run]
        self._client.cancel_workflows(mine)

    @database_errors()
    def forget(self, job_id: str) -> None:
        """Delete the engine's rows of a job that has ended."""
        found = self._client.list_workflows(workflow_id_prefix=job_id, load_input=False, load_output=False)
        self._client.delete_workflows([status.workflow_id for status in found if _is_of(status.workflow_id, job_id)])

    @database_errors()
    def held_by_others(self, worker: str) -> set[str]:
        """Executors other than `worker` that have workflows under way."""
        found = self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {status.executor_id for status in found if status.executor_id and status.queue_name} - {worker}

    @database_errors()
    def held_by(self, worker: str) -> list[tuple[str, str]]:
        """Workflows that `worker` has under way: (id, queue) of each."""
        found = self._client.list_workflows(status="PENDING", executor_id=worker, load_input=False, load_output=False)
        return [(status.workflow_id, status.queue_name) for status in found if status.queue_name is not None]

    @database_errors()
    def of_other_versions(self, workflow_ids: list[str]) -> list[str]:
        """Those of `workflow_ids` that another version of the workflows began, and only its workers go on with."""
        if not workflow_ids:
            return []
        found = self._client.list_workflows(workflow_ids=workflow_ids, load_input=False, load_output=False)
        return [status.workflow_id for status in found if status.app_version != APP_VERSION]

    @database_errors()
    def waiting(self, queue: str) -> list[str]:
        """Workflows that nobody has taken from a queue."""
        found = self._client.list_workflows(status="ENQUEUED", queue_name=queue, load_input=False, load_output=False)
        return [status.workflow_id for status in found]

    @database_errors()
    def requeue(self, workflow_id: str, queue: str) -> None:
        """Put a dead worker's workflow back on its queue; the dead one, should it wake, no longer owns it."""
        self._client.resume_workflow(workflow_id, queue_name=queue)

    @database_errors()
    def ended_badly(self, workflow_ids: list[str]) -> list[str]:
        """Those of `workflow_ids` that the engine has given up on."""
        if not workflow_ids:
            return []
        found = self._client.list_workflows(
            workflow_ids=workflow_ids, status=ENDED_BADLY, load_input=False, load_output=False
        )
        return [status.workflow_id for status in found]

    def close(self) -> None:
        self._client.destroy()
        if self._engine is not None:
            self._engine.dispose()
