"""The activation sets and training runs that a job reads: those in its spec and those of its energy reports.

A text in a spec counts as the name of what the job's project may read, and of nothing else.

A worker or API process of an older version writes jobs without their inputs. Such jobs have `inputs_recorded` false,
and `record_missing` adds their inputs before anything relies on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from service.catalog.ownership import OF_ALL, options_of
from service.catalog.rows import chunks, insert_missing
from service.catalog.tables import activations, energy_reports, job_inputs, jobs, radius_reports, training_runs
from service.contracts.jobs import FINAL_STATES
from service.contracts.run_models import RunModel, parse_run_model
from service.errors import InvalidInput

_PRODUCTS = ("act-", "run-")
_LONGEST = 64  # of an id
_UNRECORDED = 1_000  # jobs whose inputs are recorded at once


def record(connection: sa.Connection, job_id: str, products: Iterable[str]) -> None:
    """Note that a job reads these products; those noted before stay as they are."""
    insert_missing(connection, job_inputs, [{"job": job_id, "product": product} for product in sorted(set(products))])


def record_named(connection: sa.Connection, job_id: str, project: str, spec: Any) -> None:
    """Note that a job of `project` reads what its spec names."""
    named, found = sorted(_named_products(spec)), set[str]()
    for table in (activations, training_runs):
        for some in chunks(named):
            there = sa.select(table.c.id).where(table.c.id.in_(some)).execution_options(**options_of(project))
            found |= set(connection.execute(there).scalars())
    record(connection, job_id, found)


def record_missing(connection: sa.Connection, limit: int) -> int:
    """Note the inputs of up to `limit` jobs that have none noted yet; returns how many jobs these were."""
    unrecorded = (
        sa.select(jobs.c.id, jobs.c.project, jobs.c.spec)
        .where(~jobs.c.inputs_recorded)
        .order_by(jobs.c.id)
        .limit(limit)
    )
    found = connection.execute(unrecorded.with_for_update(key_share=True).execution_options(**OF_ALL)).all()
    for job_id, project, spec in found:
        record_named(connection, job_id, project, spec)
        noted = jobs.update().where(jobs.c.id == job_id).values(inputs_recorded=True)
        connection.execute(noted.execution_options(**OF_ALL))
    return len(found)


def record_all_missing(connection: sa.Connection) -> None:
    """Note the inputs of all jobs that have none noted yet."""
    while record_missing(connection, _UNRECORDED):
        pass


def are_read(connection: sa.Connection, job_id: str, products: sa.Select[tuple[str]]) -> bool:
    """Whether another job reads one of these products: it has not ended, or has an energy report."""
    is_open = sa.exists().where(jobs.c.id == job_inputs.c.job, jobs.c.state.not_in(FINAL_STATES))
    reported = sa.exists().where(energy_reports.c.job == job_inputs.c.job)
    others = job_inputs.c.product.in_(products) & (job_inputs.c.job != job_id) & (is_open | reported)
    query = sa.select(job_inputs.c.job).where(others).limit(1).execution_options(**OF_ALL)
    return connection.execute(query).first() is not None


def users(connection: sa.Connection, product: str, limit: int) -> list[str]:
    """Ids of up to `limit` jobs that read a product and have not ended, or have a report."""
    is_open = sa.exists().where(jobs.c.id == job_inputs.c.job, jobs.c.state.not_in(FINAL_STATES))
    reported = [sa.exists().where(table.c.job == job_inputs.c.job) for table in (energy_reports, radius_reports)]
    readers = (job_inputs.c.product == product) & sa.or_(is_open, *reported)
    query = sa.select(job_inputs.c.job).where(readers).order_by(job_inputs.c.job).limit(limit)
    return list(connection.execute(query.execution_options(**OF_ALL)).scalars())


def named_steps(connection: sa.Connection, run_id: str) -> set[int]:
    """The steps of a run whose kept models any job names, also one that has ended: its products need the model."""
    record_all_missing(connection)
    readers = sa.select(job_inputs.c.job).where(job_inputs.c.product == run_id)
    specs = connection.execute(sa.select(jobs.c.spec).where(jobs.c.id.in_(readers))).scalars()
    models = (_model_of(text) for spec in specs for text in _texts(spec))
    return {model.step for model in models if model is not None and model.run == run_id and model.step is not None}


def _named_products(spec: Any) -> set[str]:
    """Ids of the activation sets and runs that a spec names anywhere; a kept model names its run."""
    texts = (text if (model := _model_of(text)) is None else model.run for text in _texts(spec))
    return {text for text in texts if text.startswith(_PRODUCTS) and len(text) <= _LONGEST}


def _texts(spec: Any) -> Iterator[str]:
    if isinstance(spec, str):
        yield spec
    elif isinstance(spec, dict | list):
        for part in spec.values() if isinstance(spec, dict) else spec:
            yield from _texts(part)


def _model_of(name: str) -> RunModel | None:
    try:
        return parse_run_model(name)
    except InvalidInput:
        return None
