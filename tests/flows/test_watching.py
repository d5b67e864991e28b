"""A worker that does not notice that its segment's job has ended, because it hangs, is ended by its own watch."""

from __future__ import annotations

import subprocess
import sys
import time

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.products import insert_job
from tests.databases.soak import settings_on
from workers.watching import STUCK

STUCK_S = 0.4
WATCH = f"""
import sys
from service.catalog.engine import Catalog
from workers.watching import keep_checking_for_stuck_segments
print("watching", flush=True)
keep_checking_for_stuck_segments(Catalog(sys.argv[1]), "compute-a", {STUCK_S})
"""


@settings_on("postgresql")
def test_a_hanging_segment_of_a_cancelled_job_ends_its_worker(settings: Settings, catalog: Catalog):
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        segments.claim(connection, job_id=job_id, name="search-00", stage="search", worker="compute-a")
    command = [sys.executable, "-c", WATCH, settings.resolved_database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "watching\n"
        time.sleep(3 * STUCK_S)
        assert worker.poll() is None  # the job runs
        with catalog.begin() as connection:
            jobs.request_cancel(connection, job_id)
        assert worker.wait(timeout=30) == STUCK
