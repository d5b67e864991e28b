"""Products made by the product's own code: an activation set with texts, and its radius report, both published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from service.artifacts.activation_set import catalog_row, finish_set, rows_name, save_chunks, save_tensors, shard_name
from service.artifacts.atomic import publish_folder
from service.catalog import activations, jobs, segments, training
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.contracts.energy import EnergySpec
from service.contracts.radius import RadiusSpec
from service.contracts.specs import read_spec
from service.ids import derived_id, new_id
from service.settings import Settings
from workers.figures.saving import save_figure
from workers.flows.energy import report as energy_report
from workers.flows.energy.arguments import EnergyArguments
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.radius import report as radius_report
from workers.flows.radius.arguments import ReportArguments

ROWS, D_MODEL, CHUNK_TOKENS = 40, 3, 4


@dataclass(frozen=True)
class Published:
    """Ids of a job, its set and its report, and the vectors they came from."""

    job: str
    activations: str
    report: str
    vectors: np.ndarray


def sample_vectors() -> np.ndarray:
    """(40, 3) float32: random, with rows 7 and 31 equal and rows 2 and 3 each other's nearest by far."""
    vectors = np.random.default_rng(0).normal(size=(ROWS, D_MODEL)).astype(np.float32)
    vectors[31] = vectors[7]
    vectors[2], vectors[3] = [50, 50, 50], [50, 50, 50.5]
    return vectors


def publish_texts(
    settings: Settings,
    catalog: Catalog,
    vectors: np.ndarray,
    job_id: str,
    documents: Sequence[int] | None = None,
    position: int = 0,
    losses: np.ndarray | None = None,
) -> str:
    """An activation set of two shards, as an extraction publishes it; row r reads "text r" of document "doc r".

    Args:
        documents: number of each row's document, where they are others.
        position: of the set among the job's products.
        losses: of the rows' chunks, where the set has them.
    """
    documents = range(len(vectors)) if documents is None else documents
    set_id = derived_id("act", job_id, position)
    staging = settings.artifacts_root / ".staging" / set_id
    half = len(vectors) // 2
    for index, part in enumerate((range(half), range(half, len(vectors)))):
        of_chunks = {} if losses is None else {"loss": losses[part.start : part.stop]}
        save_tensors(staging / shard_name(index), {"vectors": vectors[part.start : part.stop]} | of_chunks)
        tokens = np.arange(len(part) * CHUNK_TOKENS, dtype=np.int32).reshape(-1, CHUNK_TOKENS)
        numbers = np.asarray([documents[row] for row in part], dtype=np.int64)
        names, texts = [f"doc {number}" for number in numbers], [f"text {row}" for row in part]
        save_chunks(staging / rows_name(index), tokens, numbers, 10 * np.asarray(part, dtype=np.int64), names, texts)
    about = {"id": set_id, "name": "a set", "job": job_id, "site": "final_norm_out", "position": "last"}
    finish_set(staging, about | {"rows_per_chunk": 1, "extraction": {"chunk_tokens": CHUNK_TOKENS}})
    publish_folder(staging, settings.artifacts_root / set_id)
    with catalog.begin() as connection:
        activations.publish(connection, catalog_row(settings.artifacts_root / set_id))
        jobs.add_result(connection, job_id, "activations", "final_norm_out", set_id)
    return set_id


def insert_job(catalog: Catalog, spec: dict[str, Any], kind: str = "radius") -> str:
    """A job's row, as submission writes it, without the queue's."""
    job_id = new_id("job")
    row = {"id": job_id, "kind": kind, "spec": spec, "priority": 50, "labels": {}}
    with catalog.begin() as connection:
        jobs.insert(connection, row)
    return job_id


def measure(
    settings: Settings, catalog: Catalog, job_id: str, set_id: str, *, drawn: bool = False, **options: Any
) -> str:
    """Run the radius segment of a job here and now; returns the id of the report.

    Args:
        drawn: with the figure of the report in it, which takes longest; otherwise an empty one in the same formats.
    """
    arguments = ReportArguments(
        spec=RadiusSpec(activations=set_id, **options), report=derived_id("radius", job_id), sets_total=True
    )
    with _drawing(drawn):
        return radius_report.measure_radius(arguments, own_segment(settings, catalog, job_id, "radius-00")).report


def evaluate(
    settings: Settings, catalog: Catalog, job_id: str, sets: list[str], *, drawn: bool = False, **options: Any
) -> str:
    """The same for the energy segment."""
    arguments = EnergyArguments(
        spec=EnergySpec(activations=sets, **options), report=derived_id("energy", job_id), sets_total=True
    )
    with _drawing(drawn):
        return energy_report.evaluate_energies(arguments, own_segment(settings, catalog, job_id, "energy-00")).report


@contextmanager
def _drawing(drawn: bool) -> Iterator[None]:
    """Draw the figures of reports, or empty ones, within the block."""
    with pytest.MonkeyPatch.context() as patch:
        if not drawn:
            patch.setattr(radius_report, "draw_radius_figure", _draw_nothing)
            patch.setattr(energy_report, "draw_energy_figure", _draw_nothing)
        yield


def _draw_nothing(_report: object, stem: Path) -> list[Path]:
    return save_figure(Figure(figsize=(1, 1)), stem)


def own_segment(settings: Settings, catalog: Catalog, job_id: str, name: str) -> SegmentOwner:
    """Become the owner of a segment of a running job, as a worker of these settings."""
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        attempt = segments.claim(connection, job_id=job_id, name=name, stage="test", worker="test")
    return SegmentOwner(Runtime(settings, catalog, "test"), job_id, name, attempt)


def publish_report(settings: Settings, vectors: np.ndarray | None = None, **options: Any) -> Published:
    """A finished job with an activation set that has texts, and its radius report; `options` as `measure` has them."""
    vectors = sample_vectors() if vectors is None else vectors
    catalog = Catalog(settings.resolved_database_url)
    try:
        job_id = insert_job(catalog, {"activations": "made by the test"})
        set_id = publish_texts(settings, catalog, vectors, job_id)
        report_id = measure(settings, catalog, job_id, set_id, **options)
        with catalog.begin() as connection:
            jobs.finish(connection, job_id, "succeeded")
    finally:
        catalog.close()
    return Published(job_id, set_id, report_id, vectors)


def nearest_distances(vectors: np.ndarray) -> np.ndarray:
    """(n,) distance of each row to its nearest other row, by brute force in float64."""
    wide = vectors.astype(np.float64)
    distances = np.linalg.norm(wide[:, None] - wide[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def insert_run(catalog: Catalog) -> str:
    """A training run's row."""
    run, spec = new_id("run"), read_spec("training", {"preset": "smoke/f2"}).model_dump(mode="json")
    numbers = dict.fromkeys(("step", "steps", "tokens"), 0)
    texts = {"id": run, "job": insert_job(catalog, spec, "training"), "name": "a run", "experiment": spec["experiment"]}
    empty = {name: {} for name in ("reference_lines", "data", "losses", "evaluation", "timing", "provenance")}
    row = numbers | texts | empty | {"spec": spec, "warnings": [], "notes": [], "created_at": now()}
    with catalog.begin() as connection:
        training.register(connection, row | {"parameters": {"total": 1_000, "without_embeddings": 900}})
    return run
