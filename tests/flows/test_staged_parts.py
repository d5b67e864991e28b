"""Parts that the segments of one search stage for one another."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.artifacts.manifest import MANIFEST, canonical_json
from service.catalog import jobs
from service.catalog.engine import Catalog
from service.errors import CorruptArtifact
from service.jobs.engine import APP_VERSION
from service.settings import Settings
from tests.api.products import insert_job, own_segment
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.radius.staged import Arrays, PartStore, PlannedFacts, SearchedFacts, part_store
from workers.neighbors.formats import FormatTrial

TRIALS = [FormatTrial("float32", 0.25, 1.5, 3.0)]
PLANNED = PlannedFacts(
    device="cpu",
    tile=128,
    tiles=15,
    seconds=2.0,
    scale=0.5,
    format="float32",
    trials=TRIALS,
    search=[8, 15],
    count=[15],
    settle=[3, 10],
    began=1e9,
)
SEARCHED = SearchedFacts(format="float32", fused=False, device="cpu", kernel="no Triton")


@pytest.fixture
def owner(settings: Settings, catalog: Catalog) -> SegmentOwner:
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
    return own_segment(settings, catalog, job_id, "split")


def rewrite(store: PartStore, name: str, changes: dict[str, Any], *left_out: str) -> str:
    """Write the manifest of a part as another version would; returns its SHA-256."""
    path = store.root / name / MANIFEST
    kept = {key: value for key, value in json.loads(path.read_bytes()).items() if key not in left_out}
    path.write_bytes(canonical_json(kept | changes))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_plan_of_an_older_version_is_made_again(owner: SegmentOwner):
    made: list[str] = []
    store = part_store(owner.runtime, "radius-1")

    def plan(version: str) -> str:
        def make() -> tuple[Arrays, PlannedFacts]:
            made.append(version)
            return {"centre": np.zeros(3)}, replace(PLANNED, device=version)

        return replace(store, plan=version).stage(owner, "plan", PlannedFacts, make)

    plan("jobs-0")
    sha256 = plan(APP_VERSION)
    assert plan(APP_VERSION) == sha256
    assert made == ["jobs-0", APP_VERSION]
    assert store.read("plan", sha256, PlannedFacts)[1].device == APP_VERSION


def test_facts_are_read_as_they_were_staged_and_say_who_worked(owner: SegmentOwner):
    store = part_store(owner.runtime, "radius-1")
    sha256 = store.stage(owner, "plan", PlannedFacts, lambda: ({"centre": np.ones(3)}, PLANNED))
    arrays, facts = store.read("plan", sha256, PlannedFacts)
    assert (arrays["centre"] == np.ones(3)).all()
    assert facts == replace(PLANNED, worker=owner.runtime.worker, work_s=facts.work_s)
    assert facts.work_s > 0
    assert store.facts("plan", sha256, PlannedFacts) == facts


def test_a_part_of_the_version_before_is_read_with_defaults(owner: SegmentOwner):
    """It has no `kernel` where the kernel was used, or could not be."""
    store = part_store(owner.runtime, "radius-1")
    store.stage(owner, "search-00000", SearchedFacts, lambda: ({}, SEARCHED))
    sha256 = rewrite(store, "search-00000", {}, "kernel")
    assert store.facts("search-00000", sha256, SearchedFacts).kernel == ""


@pytest.mark.parametrize(("changes", "left_out"), [({"fused": "perhaps"}, []), ({}, ["fused"])])
def test_facts_that_do_not_fit_are_named_and_the_part_is_made_again(
    owner: SegmentOwner, changes: dict[str, Any], left_out: list[str]
):
    store = part_store(owner.runtime, "radius-1")
    store.stage(owner, "search-00000", SearchedFacts, lambda: ({}, SEARCHED))
    sha256 = rewrite(store, "search-00000", changes, *left_out)
    with pytest.raises(CorruptArtifact, match="this version: fused"):
        store.read("search-00000", sha256, SearchedFacts)
    again = store.stage(owner, "search-00000", SearchedFacts, lambda: ({}, SEARCHED))
    assert store.facts("search-00000", again, SearchedFacts).fused is False
