"""Finished activation sets that other jobs use again; a set belongs to the job that made it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.catalog import events, jobs
from service.catalog.ownership import OF_ALL
from service.catalog.tables import activations, job_results, radius_reports
from service.catalog.tables import jobs as jobs_table
from service.contracts.base import Notice
from service.contracts.corpora import BUILTINS
from service.contracts.extraction import ExtractionSpec, vector_fields

_NEWEST = 1_000  # sets whose jobs are compared with a spec
Found = list[tuple[str, str]]


def find(connection: sa.Connection, job_id: str, keys: Sequence[str], sites: list[str]) -> list[Found]:
    """(id, manifest's SHA-256) of a finished set for each of `sites`, in their order; one such list per maker.

    Sets that are results of the job already are the only choice, whatever their key, so that a retry does not mix
    makers. Else those of other jobs that have one of the keys, newest first: of the same project, or of a built-in
    corpus.
    """
    there = sa.select(activations).where(activations.c.site.in_(sites)).order_by(activations.c.id.desc())
    held = sa.select(job_results.c.product).where(job_results.c.job == job_id)
    rows = connection.execute(there.where(activations.c.id.in_(held))).mappings().all()
    if not rows and keys:
        equal = there.where(activations.c.reuse_key.in_(keys), _may_be_used(connection, job_id))
        rows = connection.execute(equal).mappings().all()
    made: dict[str, dict[str, tuple[str, str]]] = {}
    for row in rows:
        made.setdefault(row["job"], {})[row["site"]] = (row["id"], row["sha256"])
    return [[found[site] for site in sites] for found in made.values() if len(found) == len(sites)]


def _may_be_used(connection: sa.Connection, job_id: str) -> sa.ColumnElement[bool]:
    """Sets of the job's own project, and for a job on a built-in corpus those that another made from one."""
    corpus = jobs_table.c.spec["corpus"].as_string()
    mine = connection.execute(sa.select(jobs_table.c.project, corpus).where(jobs_table.c.id == job_id)).one()
    own = activations.c.project == mine[0]
    if mine[1] not in BUILTINS:
        return own
    return own | sa.exists().where(jobs_table.c.id == activations.c.job, corpus.in_(BUILTINS))


def made_before(connection: sa.Connection, spec: ExtractionSpec) -> tuple[str, list[str]] | None:
    """The project's newest job of the same extraction, by its spec, and its sets at these sites, in their order.

    Only a worker can check whether corpus and model are still the same.
    """
    theirs = activations.join(jobs_table, activations.c.job == jobs_table.c.id)
    query = sa.select(jobs_table.c.id, jobs_table.c.spec, activations.c.site, activations.c.id.label("made"))
    query = query.select_from(theirs).where(
        activations.c.reuse_key.is_not(None), activations.c.site.in_(spec.named_sites)
    )
    wanted, made = vector_fields(spec.model_dump(mode="json")), dict[str, dict[str, str]]()
    for row in connection.execute(query.order_by(activations.c.id.desc()).limit(_NEWEST)):
        if vector_fields(row.spec) == wanted and spec.is_served_with(loss=row.spec.get("loss", False)):
            made.setdefault(row.id, {})[row.site] = row.made
    whole = (item for item in made.items() if len(item[1]) == len(spec.named_sites))
    return next(((job_id, [sets[site] for site in spec.named_sites]) for job_id, sets in whole), None)


def link(connection: sa.Connection, job_id: str, sets: list[str]) -> bool:
    """Make sets of another job results of this one, with a warning; False if one of them no longer exists."""
    query = sa.select(activations).where(activations.c.id.in_(sets)).with_for_update(key_share=True)
    rows = {row["id"]: row for row in connection.execute(query).mappings()}
    if len(rows) < len(sets):
        return False
    maker, theirs = rows[sets[0]]["job"], rows[sets[0]]["project"]
    held = set(connection.execute(sa.select(job_results.c.product).where(job_results.c.job == job_id)).scalars())
    for set_id in sets:
        jobs.add_result(connection, job_id, "activations", rows[set_id]["site"], set_id)
    if maker != job_id and not held & set(sets):
        mine = connection.execute(sa.select(jobs_table.c.project).where(jobs_table.c.id == job_id)).scalar_one()
        whose = maker if theirs == mine else "another project"
        message = f"nothing was extracted: {', '.join(sets)} of {whose} are of the same model, chunks and settings"
        jobs.warn(connection, job_id, [Notice(code="reused", message=message)])
        made = {"job": maker} if theirs == mine else {}
        events.record(connection, job_id, "reused", made | {"activations": sets})
    return True


def in_use(connection: sa.Connection, job_id: str, products: sa.Select[tuple[str]]) -> bool:
    """Whether another job has one of these products among its results, or has a radius report of one."""
    used = sa.select(job_results.c.job).where(job_results.c.product.in_(products), job_results.c.job != job_id)
    reports = radius_reports.c
    measured = sa.select(reports.job).where(reports.activations.in_(products), reports.job != job_id)
    return any(connection.execute(query.limit(1).execution_options(**OF_ALL)).first() for query in (used, measured))
