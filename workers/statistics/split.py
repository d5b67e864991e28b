"""A split by documents: the rows of one half are queries, those of the other half are the database.

Given the database rows, distances of queries of different documents are independent, so that their errors need no
jackknife: they are sums over documents.
"""

from __future__ import annotations

import numpy as np

from workers.devices.seeding import seed_sequence
from workers.statistics.documents import Documents
from workers.statistics.estimate import ONE_DOCUMENT

Array = np.ndarray
PLACE = 2**32 - 1  # of the stream that draws the halves, among those of a seed: no draw of a null has it


def halves_of_documents(documents: Documents, seed: int) -> tuple[Array, Array] | str:
    """Ascending positions of the rows of ⌊U/2⌋ documents, drawn by the seed, and of the rows of all others.

    Documents without a row do not count. With fewer than two documents the reason why there are no halves.
    """
    present = np.flatnonzero(documents.present(np.ones(len(documents.codes), dtype=bool)))
    if len(present) < 2:
        return ONE_DOCUMENT
    drawn = np.random.Generator(np.random.PCG64(seed_sequence(seed, PLACE))).permutation(present)
    is_query = np.zeros(documents.count, dtype=bool)
    is_query[drawn[: len(drawn) // 2]] = True
    of_rows = is_query[documents.codes]
    return np.flatnonzero(of_rows), np.flatnonzero(~of_rows)
