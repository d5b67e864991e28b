"""Statements of one project's catalog reach its rows only, whichever function wrote them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from service.catalog import activations, corpora, inputs, jobs, products, radius, reuse, tables
from service.catalog.engine import Catalog
from service.catalog.ownership import OF_ALL
from service.catalog.rows import page_rows
from service.contracts.corpora import CorpusSource
from service.contracts.extraction import ExtractionSpec
from service.errors import Conflict, NotFound
from tests.databases.rows import AT, add_jobs, add_sets, job, vectors

OWNED = [table for table in tables.metadata.sorted_tables if "project" in table.c]
SITE = "blocks.0.hook_resid_post"
BUILT_IN, OWN_TEXT = {"corpus": "python-docs"}, {"corpus": "texts"}


def publish_set(catalog: Catalog, number: int) -> str:
    """The set of a job, as a worker publishes it: through a catalog of all projects."""
    row: dict[str, Any] = {
        "id": vectors(number),
        "name": "a set",
        "job": job(number),
        "site": SITE,
        "n": 3,
        "d_model": 2,
    }
    row |= {"dtype": "float32", "sha256": str(number), "statistics": {}, "reuse_key": "same"}
    with catalog.begin() as connection:
        activations.publish(connection, row)
        jobs.add_result(connection, job(number), "activations", SITE, row["id"])
    return row["id"]


def found_by(catalog: Catalog, number: int) -> list[str]:
    """The sets that a job may use again."""
    with catalog.read() as connection:
        return [made[0][0] for made in reuse.find(connection, job(number), ["same"], [SITE])]


@pytest.mark.parametrize("table", OWNED, ids=lambda table: table.name)
def test_every_statement_on_an_owned_table_is_restricted(catalog: Catalog, table: sa.Table):
    with catalog.of("mine").read() as connection:
        for statement in (sa.select(table), sa.select(sa.func.count()).select_from(table), table.delete()):
            compiled: list[str] = []
            event.listen(connection, "before_cursor_execute", lambda *given, to=compiled: to.append(given[2]))
            connection.execute(statement)
            assert f"{table.name}.project" in compiled[0]


def test_a_statement_that_cannot_be_restricted_is_refused(catalog: Catalog):
    mine = sa.select(tables.jobs.c.id)
    hidden = [
        sa.select(tables.job_results).where(tables.job_results.c.job.in_(mine)),
        sa.select(mine.subquery()),
        sa.union_all(mine, mine),
        sa.select(sa.exists().where(tables.jobs.c.id == "x")),
    ]
    with catalog.of("mine").read() as connection:
        for statement in hidden:
            with pytest.raises(AssertionError):
                connection.execute(statement)
            connection.execute(statement.execution_options(**OF_ALL))


def test_a_row_is_written_into_the_project_and_changed_in_it_only(catalog: Catalog):
    mine, theirs = catalog.of("mine"), catalog.of("theirs")
    for number, project in ((1, mine), (2, theirs)):
        add_jobs(project, [number])
    with theirs.begin() as connection:
        assert jobs.state(connection, job(1)) is None
        with pytest.raises(NotFound):
            jobs.request_cancel(connection, job(1))
        assert not jobs.finish(connection, job(1), "succeeded")
        assert [row["id"] for row in page_rows(connection, tables.jobs, 10, None)[0]] == [job(2)]
    with catalog.read() as connection:
        assert jobs.state(connection, job(1)) == "queued"
        assert len(page_rows(connection, tables.jobs, 10, None)[0]) == 2
        assert jobs.count_open(connection) == 2
    with theirs.read() as connection:
        assert jobs.count_open(connection) == 2  # what a job waits for


def test_a_product_is_in_the_project_of_its_job(catalog: Catalog):
    add_jobs(catalog.of("mine"), [1])
    set_id = publish_set(catalog, 1)
    report: dict[str, Any] = {"id": "radius-1", "job": job(1), "activations": set_id, "site": None, "name": "r", "n": 3}
    with catalog.begin() as connection:
        radius.publish(connection, report | {"d_model": 2, "nn_distance": None, "sha256": "0", "created_at": AT})
    with catalog.of("mine").read() as connection:
        assert products.ids(connection) == {set_id, "radius-1"}
    with catalog.of("theirs").read() as connection:
        assert products.ids(connection) == set()


def test_a_corpus_s_name_is_its_project_s_also_for_a_worker(catalog: Catalog):
    for number, project in ((1, "mine"), (2, "theirs")):
        with catalog.of(project).begin() as connection:
            source = CorpusSource(path=f"{project}.txt")
            corpora.register(connection, f"corpus-{project}", "texts", source, state="ready")
            with pytest.raises(Conflict):
                corpora.register(connection, "another", "texts", source, state="ready")
            with pytest.raises(Conflict):
                corpora.register(connection, "another", "python-docs", source, state="ready")
        add_jobs(catalog.of(project), [number], spec=OWN_TEXT)
        with catalog.read() as connection:
            assert corpora.find_for_job(connection, job(number), "texts").source.path == f"{project}.txt"
    with catalog.of("theirs").begin() as connection, pytest.raises(Conflict, match=job(2)):
        corpora.delete(connection, "texts")


def test_only_sets_of_built_in_corpora_are_used_by_other_projects(catalog: Catalog):
    mine, theirs = catalog.of("mine"), catalog.of("theirs")
    add_jobs(mine, [1], spec=BUILT_IN)
    add_jobs(mine, [2], spec=OWN_TEXT)
    add_jobs(mine, [3], spec=OWN_TEXT)
    add_jobs(theirs, [4], spec=BUILT_IN)
    add_jobs(theirs, [5], spec=OWN_TEXT)
    built_in, own = publish_set(catalog, 1), publish_set(catalog, 2)
    assert found_by(catalog, 3) == [own, built_in]
    assert found_by(catalog, 4) == [built_in]
    assert found_by(catalog, 5) == []
    with catalog.begin() as connection:
        reuse.link(connection, job(4), [built_in])
    with theirs.read() as connection:
        assert activations.published(connection, [built_in, own]) == {built_in: "1"}  # now a result of theirs
        assert activations.page(connection, 10, None)[0] == []
        (notice,) = jobs.get(connection, job(4)).warnings
        assert job(1) not in notice.message
    with mine.begin() as connection, pytest.raises(Conflict):
        products.delete(connection, job(1))  # theirs has it among its results


def test_an_estimate_finds_sets_of_its_own_project_only(catalog: Catalog):
    spec = ExtractionSpec(model="gpt2", corpus="python-docs", sites=[SITE])
    add_jobs(catalog.of("mine"), [1], spec=spec.model_dump(mode="json"))
    set_id = publish_set(catalog, 1)
    with catalog.of("mine").read() as connection:
        assert reuse.made_before(connection, spec) == (job(1), [set_id])
    with catalog.of("theirs").read() as connection:
        assert reuse.made_before(connection, spec) is None


def test_inputs_of_other_projects_still_protect_a_set(catalog: Catalog):
    add_jobs(catalog.of("mine"), [1], state="succeeded", finished_at=AT)
    add_sets(catalog.of("mine"), [1])
    add_jobs(catalog.of("theirs"), [2], spec={"activations": [vectors(1)]}, inputs_recorded=False)
    with catalog.of("mine").begin() as connection:
        inputs.record_all_missing(connection)
        with pytest.raises(Conflict):
            products.delete(connection, job(1))
