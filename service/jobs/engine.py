"""The client side of the job engine (DBOS). The worker side is in `workers/flows`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowSerializationFormat

APP_NAME = "radius"
APP_VERSION = "jobs-1"  # bump by hand when the order of steps in a workflow changes
CONTROL_QUEUE = "control"
COMPUTE_QUEUE = "compute"
SCAN_WORKFLOW = "scan"
SEGMENT_WORKFLOW = "segment"


def migrate_engine(url: str) -> None:
    """Create or upgrade the engine's own tables. Safe to repeat."""
    DBOS.migrate(engine_url(url))


def engine_url(url: str) -> str:
    """`url` as the engine wants it: without a driver name on PostgreSQL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql")
    return parsed.render_as_string(hide_password=False)


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


class JobEngine:
    """Enqueues workflows, inside the caller's transaction, and asks how they ended."""

    def __init__(self, url: str) -> None:
        self._client = DBOSClient(
            system_database_url=engine_url(url), application_name=APP_NAME, lazy=True, retry_connection_errors=False
        )

    def enqueue(self, connection: sa.Connection, workflow: str, workflow_id: str, priority: int, *args: Any) -> None:
        """Enqueue on the control queue; it starts if and when `connection`'s transaction commits."""
        options = options_for(workflow, CONTROL_QUEUE, workflow_id, priority)
        self._client.enqueue_in_transaction(connection, options, *args)

    def ended_badly(self, workflow_ids: list[str]) -> list[str]:
        """Those of `workflow_ids` that the engine has given up on."""
        if not workflow_ids:
            return []
        found = self._client.list_workflows(
            workflow_ids=workflow_ids,
            status=["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            load_input=False,
            load_output=False,
        )
        return [status.workflow_id for status in found]

    def close(self) -> None:
        self._client.destroy()
