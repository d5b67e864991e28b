"""Parts that the segments of one search stage for one another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.jobs.engine import APP_VERSION
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from workers.flows.radius.staged import part_store


def test_a_plan_of_an_older_version_is_made_again(settings: Settings, catalog: Catalog):
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
    made: list[str] = []
    store = part_store(own_segment(settings, catalog, job_id, "other").runtime, "radius-1")

    def plan(version: str) -> str:
        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            made.append(version)
            return {"centre": np.zeros(3)}, {"search": version}

        return replace(store, plan=version).stage(own_segment(settings, catalog, job_id, "split"), "plan", make)

    plan("jobs-0")
    sha256 = plan(APP_VERSION)
    assert plan(APP_VERSION) == sha256
    assert made == ["jobs-0", APP_VERSION]
    assert store.read("plan", sha256)[1]["search"] == APP_VERSION
