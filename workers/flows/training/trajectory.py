"""Segment: the nearest-neighbour distances of a fixed sample in one kept model of a run, and the figure with them."""

from __future__ import annotations

import numpy as np

from service.catalog import training as catalog
from service.contracts.sites import Site, parse_site
from service.contracts.training import TrajectoryPoint
from service.errors import NonFiniteData
from workers.activations.extraction import extract
from workers.devices.device import choose_device, default_batch_tokens
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import Nothing, runs
from workers.flows.training.arguments import TRAJECTORY, TrajectoryArguments
from workers.flows.training.data import make_task
from workers.flows.training.log import draw_view
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.null_model import gaussian_null, principal_deviations
from workers.neighbors.question import Question
from workers.neighbors.statistics import nearest_statistics
from workers.neighbors.stored import StoredRows
from workers.training.checkpoints import kept_name, load_weights, read_kept

Array = np.ndarray


@runs(TRAJECTORY)
def measure_kept(arguments: TrajectoryArguments, owner: SegmentOwner) -> Nothing:
    """Measure one kept model at every site, and draw the run's figure again."""
    current, spec, run_id, step = owner.runtime, arguments.spec, arguments.run, arguments.step
    assert spec.radius is not None
    checkpoints = current.read(lambda connection: catalog.checkpoints(connection, run_id))
    sha256 = next(kept.sha256 for kept in checkpoints if kept.step == step)
    device = choose_device(current.settings.device)
    task = make_task(spec, current.artifact(arguments.data), device)
    weights, _ = read_kept(current.artifact(run_id) / kept_name(step), sha256)
    load_weights(task.model, weights)
    sites = [parse_site(name, task.model.sizes.n_layers) for name in spec.radius.sites]
    sequences = task.sample(spec.radius.rows, spec.radius.tokens)
    found = extract(task.model, sequences, sites, "last", default_batch_tokens(device), lambda _: owner.progress(0))
    draws = current.settings.null_queries
    points = [_point(step, site, found.vectors[site], spec.seed, draws) for site in sites]
    owner.record(lambda connection: catalog.add_points(connection, run_id, step, points))
    draw_view(run_id, owner)
    return Nothing()


def _point(step: int, site: Site, vectors: Array, seed: int, null_queries: int) -> TrajectoryPoint:
    if not np.isfinite(vectors).all():
        raise NonFiniteData(f"the vectors at {site} of the model kept at step {step} are not finite")
    n, rows = len(vectors), StoredRows(vectors)
    (nearest,), _ = exact_neighbors(Question.of_all_rows(rows))
    statistics = nearest_statistics(nearest.distances[:, 0], [0.5])
    assert statistics.all is not None
    mean = vectors.mean(axis=0, dtype=np.float64)
    null = gaussian_null(principal_deviations(rows, mean), [n], queries=null_queries, seed=seed)
    drawn = null.distances[0]
    return TrajectoryPoint(
        step=step,
        site=str(site),
        n=n,
        nn_distance=statistics.all.mean,
        nn_distance_median=statistics.all.median,
        g=float((nearest.distances[:, 0] ** 2).mean()),
        null_nn_distance=float(drawn.mean()) if len(drawn) else 0.0,
        norm=float(np.linalg.norm(vectors - mean, axis=1).mean()),
        duplicates=statistics.duplicates,
    )
