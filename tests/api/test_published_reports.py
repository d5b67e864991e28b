"""A report that is in place but not yet in the catalog is checked, and made anew if damaged, before it is recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa

from service.artifacts.manifest import ArtifactFolder
from service.artifacts.report import REPORT
from service.catalog.engine import Catalog
from service.catalog.tables import energy_reports, radius_reports
from service.settings import Settings
from tests.api.products import evaluate, insert_job, measure, publish_texts, sample_vectors


def evaluate_one(settings: Settings, catalog: Catalog, job_id: str, set_id: str) -> str:
    return evaluate(settings, catalog, job_id, [set_id])


@pytest.mark.parametrize(("run", "table"), [(measure, radius_reports), (evaluate_one, energy_reports)])
def test_a_damaged_report_is_made_anew_before_it_is_recorded(
    settings: Settings, catalog: Catalog, run: Callable[..., str], table: sa.Table
):
    job_id = insert_job(catalog, {})
    set_id = publish_texts(settings, catalog, sample_vectors().astype(np.float32), job_id)
    report_id = run(settings, catalog, job_id, set_id)
    with catalog.begin() as connection:  # as if the worker had died between the rename and the record
        connection.execute(table.delete())
    written = settings.artifacts_root / report_id / REPORT
    damaged = written.read_bytes().replace(b"0", b"1", 1)  # another number, and still JSON
    written.write_bytes(damaged)
    assert run(settings, catalog, job_id, set_id) == report_id
    with catalog.read() as connection:
        recorded = connection.execute(sa.select(table.c.sha256)).scalar_one()
    found = ArtifactFolder(settings.artifacts_root / report_id, recorded).file(REPORT).read_bytes()
    assert found != damaged
    assert not list(settings.staging_root.glob("*"))
