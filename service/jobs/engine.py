"""The client side of the job engine (DBOS). The worker side is in `workers/flows`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowSerializationFormat, WorkflowStatus

from service.catalog.engine import database_errors, make_engine
from service.catalog.rows import chunks
from service.catalog.workflows import ENDED_BADLY

APP_NAME = "radius"
APP_VERSION = "jobs-9"  # increase by hand when the order of steps in a workflow changes
CONTROL_QUEUE = "control"
TRAININGS_QUEUE = "trainings"  # trainings and sweeps: they take days, and other jobs must not wait for one to end
COMPUTE_QUEUE = "compute"
TRAIN_QUEUE = "train"
REPRODUCTIONS_QUEUE = "reproductions"  # they wait for jobs of the queues above, which must not wait for them
RUNS_QUEUE = "runs"  # the runs of sweeps: they wait for segments, and sweeps wait for them
SCAN_WORKFLOW = "scan"
CALIBRATE_WORKFLOW = "calibrate"
SEGMENT_WORKFLOW = "segment"
RUN_WORKFLOW = "run"
_QUEUES = {"training": TRAININGS_QUEUE, "sweep": TRAININGS_QUEUE, "reproduction": REPRODUCTIONS_QUEUE}


def queue_of(workflow: str) -> str:
    """The queue of the control worker on which a workflow waits; jobs that wait for others have one of their own."""
    return _QUEUES.get(workflow, CONTROL_QUEUE)


def migrate_engine(url: str) -> None:
    """Create or upgrade the engine's own tables. Safe to repeat."""
    DBOS.migrate(engine_url(url))


def engine_url(url: str) -> str:
    """`url` in the engine's form: without a driver name on PostgreSQL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql")
    return parsed.render_as_string(hide_password=False)


def workflow_id(job_id: str, retry: int) -> str:
    """Id of the workflow that runs a job: its own, and another one for each retry."""
    return f"{job_id}~{retry}" if retry else job_id


def scan_run_id(corpus_id: str) -> str:
    """Id of the workflow that counts a corpus."""
    return f"scan-{corpus_id}"


def options_for(workflow: str, queue: str, workflow_id: str, priority: int) -> EnqueueOptions:
    """Options to enqueue a workflow: always with an id of ours, so that a repeat is the same one, and as JSON."""
    return {
        "workflow_name": workflow,
        "queue_name": queue,
        "workflow_id": workflow_id,
        "app_version": APP_VERSION,
        "priority": priority,
        "serialization_type": WorkflowSerializationFormat.PORTABLE,
    }


class JobEngine:
    """Enqueues workflows, inside the caller's transaction, and reads how they ended.

    Every call raises `Unavailable` while the database is away or lacks the engine's tables. `answer_s` limits how long
    a call waits for an answer of PostgreSQL.
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

    @property
    def version(self) -> str:
        """The version of the workflows that this process enqueues."""
        return APP_VERSION

    @database_errors()
    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and has the engine's tables."""
        self._client.list_workflows(workflow_ids=[""], load_input=False, load_output=False)

    @database_errors()
    def enqueue(self, connection: sa.Connection, workflow: str, workflow_id: str, priority: int, *args: Any) -> None:
        """Enqueue on a queue of the control worker; it starts if and when `connection`'s transaction commits."""
        options = options_for(workflow, queue_of(workflow), workflow_id, priority)
        self._client.enqueue_in_transaction(connection, options, *args)

    @database_errors()
    def cancel(self, workflow: str) -> None:
        """Stop dispatching the workflow of that id and its segments; running segments stop at their next write.

        The workflows of other retries go on: the job may have been retried since.
        """
        found = self._client.list_workflows(
            workflow_id_prefix=workflow, status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False
        )
        mine = [status.workflow_id for status in found if status.workflow_id.partition(".")[0] == workflow]
        self._client.cancel_workflows(mine)

    @database_errors()
    def delete_workflows(self, job_id: str, retries: int) -> None:
        """Delete the engine's rows of a job that has ended: the workflow of each try, and their descendants.

        Descendants are found by their parents, which are indexed, and not by the prefix of their ids.
        """
        found = [workflow_id(job_id, retry) for retry in range(retries + 1)]
        parents = found
        while parents:
            parents = self._children(parents)
            found += parents
        for part in chunks(found):
            self._client.delete_workflows(part)

    def _children(self, parents: list[str]) -> list[str]:
        listed = partial(self._client.list_workflows, load_input=False, load_output=False)
        return [child.workflow_id for part in chunks(parents) for child in listed(parent_workflow_id=part)]

    @database_errors()
    def held_by_others(self, worker: str) -> set[str]:
        """Executors other than `worker` that run workflows."""
        found = self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {status.executor_id for status in found if status.executor_id and status.queue_name} - {worker}

    @database_errors()
    def held_by(self, worker: str) -> list[tuple[str, str]]:
        """(id, queue) of each workflow that `worker` runs."""
        found = self._client.list_workflows(status="PENDING", executor_id=worker, load_input=False, load_output=False)
        return [(status.workflow_id, status.queue_name) for status in found if status.queue_name is not None]

    @database_errors()
    def of_other_versions(self, workflow_ids: list[str]) -> list[str]:
        """The workflows among `workflow_ids` that another version began, which only its workers would continue."""
        return [status.workflow_id for status in self._list(workflow_ids) if status.app_version != APP_VERSION]

    @database_errors()
    def waiting(self, queue: str) -> list[str]:
        """Workflows on a queue that no worker has taken."""
        found = self._client.list_workflows(status="ENQUEUED", queue_name=queue, load_input=False, load_output=False)
        return [status.workflow_id for status in found]

    @database_errors()
    def requeue(self, workflow_id: str, queue: str) -> None:
        """Put a dead worker's workflow back on a queue; that worker no longer owns it, even if it resumes."""
        self._client.resume_workflow(workflow_id, queue_name=queue)

    @database_errors()
    def ended_badly(self, workflow_ids: list[str]) -> list[str]:
        """The workflows among `workflow_ids` that the engine has given up."""
        return [status.workflow_id for status in self._list(workflow_ids) if status.status in ENDED_BADLY]

    def _list(self, workflow_ids: list[str]) -> Iterator[WorkflowStatus]:
        for part in chunks(workflow_ids):
            yield from self._client.list_workflows(workflow_ids=part, load_input=False, load_output=False)

    def close(self) -> None:
        self._client.destroy()
        if self._engine is not None:
            self._engine.dispose()
