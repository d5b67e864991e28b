"""The partition function of a radius report, from the neighbours of the largest fraction: arrays in, contract out."""

from __future__ import annotations

import numpy as np

from service.contracts.partition import Partition
from service.contracts.radius import FractionReport
from service.errors import InvalidInput
from service.theory.measured_partition import measured_partition
from workers.neighbors.answers import Neighbors

Array = np.ndarray
_REFERENCE = "the distances are to rows of a reference set; (13) is of balls around the rows searched"
_ALL_ZERO = "all radii are 0: every row equals another"


def partition_report(
    d_model: int, found: Neighbors, whole: FractionReport, codes: Array | None, *, in_reference: bool
) -> tuple[Partition | None, str | None]:
    """The partition function of the rows, or the reason why there is none.

    Args:
        found: neighbours of the largest fraction; `whole` is its report.
        codes: (m,) of the rows of `found`, where documents are excluded.
        in_reference: the rows were searched in another set.
    """
    if in_reference:
        return None, _REFERENCE
    if whole.nn_distance is None:
        return None, whole.reason
    if whole.nn_distance.max == 0:
        return None, _ALL_ZERO
    # Rows of one document are not compared, and an approximate engine proves nothing.
    complete = found.certified == 1 and (codes is None or len(np.unique(codes)) == len(codes))
    try:
        answer = measured_partition(d_model, found.distances, _positions(found), complete=complete)
    except InvalidInput as error:
        return None, error.detail
    return Partition.model_validate(answer), None


def _positions(found: Neighbors) -> Array:
    """(m, k) positions of the neighbours among the rows of `found`; −1 where there is none."""
    position = np.full(int(found.rows.max()) + 2, -1)  # the last entry answers for id −1
    position[found.rows] = np.arange(len(found.rows))
    return position[found.ids]
