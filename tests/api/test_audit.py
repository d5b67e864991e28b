"""The audit: a line for every request that changes something, with who, what and how it ended, and no secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.api.projects import SECRET, Projects
from tests.api.support import CANARY, EXTRACTION


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the audit says, as it comes."""
    caplog.set_level(logging.INFO, "radius.audit")
    found: list[dict[str, Any]] = []

    class Noted(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.name == "radius.audit":
                found.append(vars(record)["fields"])
                assert record.getMessage() == " ".join(f"{name}={value}" for name, value in found[-1].items())
            return True

    caplog.handler.addFilter(Noted())
    return found


def test_every_change_is_noted_with_its_end(projects: Projects, lines: list[dict[str, Any]]):
    job = projects.send("stranger", "POST", "/v1/jobs", json={"kind": "extraction", "spec": EXTRACTION}).json()["id"]
    ours = projects.objects["job_id"]
    projects.send("stranger", "POST", f"/v1/jobs/{job}/cancel")
    projects.send("stranger", "DELETE", f"/v1/jobs/{job}")
    projects.send("stranger", "DELETE", f"/v1/jobs/{ours}")
    projects.send("reader", "POST", f"/v1/jobs/{ours}/retry")
    projects.send("expired", "POST", f"/v1/jobs/{ours}/retry")
    projects.send("stranger", "GET", f"/v1/jobs/{job}")  # changes nothing
    theirs = {"key": "stranger", "project": "theirs"}
    assert lines == [
        theirs | {"operation": "create_job", "object": job, "status": 202},
        theirs | {"operation": "cancel_job", "object": job, "status": 202},
        theirs | {"operation": "delete_job", "object": job, "status": 204},
        theirs | {"operation": "delete_job", "object": ours, "status": 404},
        {"key": "reader", "project": "default", "operation": "retry_job", "object": ours, "status": 403},
        {"key": "-", "project": "-", "operation": "-", "object": "-", "status": 401},
    ]


def test_nothing_that_was_sent_is_in_it(
    projects: Projects, lines: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
):
    body = {"kind": "extraction", "spec": EXTRACTION | {CANARY: SECRET}, "labels": {CANARY: SECRET}}
    projects.send("owner", "POST", "/v1/jobs", json=body)
    projects.send("owner", "POST", f"/v1/jobs/{CANARY}%0Akey=admin/cancel")
    projects.send("owner", "DELETE", f"/v1/jobs/job-1?{CANARY}={SECRET}")
    projects.send("wrong key", "POST", "/v1/jobs", json=body)
    assert [line["status"] for line in lines][1:] == [422, 422, 401]
    keys = [headers["Authorization"].split()[1] for headers in projects.senders.values() if headers]
    assert not [text for text in (CANARY, SECRET, *keys) if text in caplog.text]
