"""Activation sets that jobs of this room are of, put into the store without a model."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.products import insert_job, publish_texts

PER_DOCUMENT = 4


class Service(Protocol):
    """What has a store of its own."""

    settings: Settings
    catalog: Catalog


def publish_set(fleet: Service, rows: int, d_model: int = 16, seed: int = 0) -> str:
    """A published set of random rows with texts, four of each document; returns its id."""
    vectors = np.random.default_rng(seed).normal(size=(rows, d_model)).astype(np.float32)
    job_id = insert_job(fleet.catalog, {"activations": "made by the test"})
    documents = [row // PER_DOCUMENT for row in range(rows)]
    set_id = publish_texts(fleet.settings, fleet.catalog, vectors, job_id, documents)
    with fleet.catalog.begin() as connection:
        jobs.finish(connection, job_id, "succeeded")
    return set_id
