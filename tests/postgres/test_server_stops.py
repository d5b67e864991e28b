"""What was acknowledged survives hard stops of the server; the API says 503 meanwhile and comes back by itself."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from service.app import create_app
from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.support import EXTRACTION, readiness_of
from tests.databases.server import Server
from tests.databases.soak import SOAK
from tests.faults.profile import SEED

SUBMISSIONS, STOPS = (300, 5) if SOAK else (120, 2)
BODY = {"kind": "extraction", "spec": EXTRACTION}


@pytest.mark.long
def test_no_submission_is_lost_over_hard_stops(
    settings: Settings, server: Server, record_property: Callable[[str, object], None]
):
    acknowledged: dict[str, str] = {}
    refused = 0
    stopped, chance = threading.Event(), random.Random(SEED)

    def stop_and_start() -> None:
        for _ in range(STOPS):
            time.sleep(chance.uniform(0.2, 0.6))
            server.stop_hard()
            time.sleep(chance.uniform(0.1, 0.5))
            server.start()
        stopped.set()

    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as api:
        stopper = threading.Thread(target=stop_and_start)
        stopper.start()
        for number in range(SUBMISSIONS):
            key = f"key-{number}"
            deadline = time.monotonic() + 60
            while key not in acknowledged:
                answer = api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": key})
                if answer.status_code == 202:
                    acknowledged[key] = answer.json()["id"]
                else:
                    assert answer.status_code == 503, answer.text
                    assert answer.headers["Retry-After"]
                    refused += 1
                    time.sleep(0.05)
                assert time.monotonic() < deadline
            time.sleep(0.008)  # so that the stops fall between submissions
        stopper.join()
        assert stopped.is_set()
        assert readiness_of(api).status_code == 200
    assert refused > 0
    catalog = Catalog(settings.resolved_database_url)
    with catalog.read() as connection:
        stored = {row.idempotency_key: row.id for row in connection.execute(sa.text("SELECT * FROM jobs"))}
        queued = connection.execute(sa.text("SELECT workflow_uuid FROM dbos.workflow_status")).scalars().all()
        held = connection.execute(sa.text("SELECT id FROM jobs WHERE held")).scalars().all()  # beyond the quota
    catalog.close()
    record_property("refused", refused)
    print(f"{len(stored)} of {SUBMISSIONS} kept, {refused} refused over {STOPS} stops")
    assert stored == acknowledged  # none lost, none doubled
    assert sorted([*queued, *held]) == sorted(acknowledged.values())


def test_while_the_server_is_away_the_api_says_so_at_once(settings: Settings, server: Server):
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as api:
        assert readiness_of(api).status_code == 200
        server.stop_hard()
        try:
            began = time.monotonic()
            answer = api.get("/readyz")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert time.monotonic() - began < 4  # by the settings within 1 s, on a machine that has time
            assert api.get("/healthz").status_code == 200
        finally:
            server.start()
        assert readiness_of(api).status_code == 200
