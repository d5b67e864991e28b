"""What the segments of one search leave for one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.jobs.engine import APP_VERSION
from service.settings import Settings
from tests.api.products import insert_job
from tests.training.segments import own, running_here
from workers.flows.radius.staged import read_part, stage


def test_a_plan_of_an_older_version_is_made_again(
    settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
    made: list[str] = []

    def plan(version: str) -> str:
        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            made.append(version)
            return {"centre": np.zeros(3)}, {"search": version}

        monkeypatch.setattr("workers.flows.radius.staged.APP_VERSION", version)
        return stage({"report": "radius-1"}, own(catalog, job_id, "split"), "plan", make)

    with running_here(settings, catalog):
        plan("jobs-0")
        sha256 = plan(APP_VERSION)
        assert plan(APP_VERSION) == sha256
        assert made == ["jobs-0", APP_VERSION]
        assert read_part({"report": "radius-1"}, "plan", sha256)[1]["search"] == APP_VERSION
