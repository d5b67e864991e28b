"""All estimates of the intrinsic dimension of one set."""

from __future__ import annotations

from dataclasses import dataclass

from workers.statistics.dimension_lists import DimensionLists
from workers.statistics.gride import SCALES, Gride, gride
from workers.statistics.lists import NeighborLists
from workers.statistics.mle import LENGTHS, MaximumLikelihood, maximum_likelihood
from workers.statistics.two_nn import TwoNN, two_nn


@dataclass(frozen=True)
class IntrinsicDimension:
    """Values above about 20 are lower bounds; the same estimators on a null model show their bias.

    Attributes:
        mle: at each k of `LENGTHS` that the lists are long enough for.
        gride: at each k of `SCALES` with 2k neighbours in the lists.
        duplicates_left_out: number of rows equal to another row, left out as rows and as neighbours.
    """

    two_nn: TwoNN
    mle: tuple[MaximumLikelihood, ...]
    gride: tuple[Gride, ...]
    duplicates_left_out: int


def intrinsic_dimension(lists: NeighborLists) -> IntrinsicDimension:
    """The dimension by TwoNN, maximum likelihood and Gride; rows whose list is too short for one are left out of it."""
    used = DimensionLists.of(lists)
    return IntrinsicDimension(
        two_nn(used),
        tuple(maximum_likelihood(used, k) for k in LENGTHS if k <= lists.k),
        tuple(gride(used, k) for k in SCALES if 2 * k <= lists.k),
        used.duplicates,
    )
