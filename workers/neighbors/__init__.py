"""Exact nearest neighbours and the statistics of their distances. Pure: arrays in, arrays and frozen dataclasses out.

A search computes all pairs in low precision with rigorous error bounds (the filter), keeps the pairs that the bounds
cannot exclude (the candidates), computes their distances in float64 from the stored rows (rescoring), and searches the
few rows that still have too many candidates in float64 (the float64 level). Every returned neighbour is thereby proved.

The question and the answer
    library.py        `nearest_neighbors`, a function of arrays
    question.py       database, nested prefixes, queries, k
    permutation.py    the seeded order whose prefixes are the fractions
    reference.py      float64 brute force: the definition of the answer
    answers.py        from rescored pairs to the neighbours of each query
    nested.py         the answers of nested prefixes from longer lists of the whole
    statistics.py     distributions, duplicates
    null_model.py     the same distances in Gaussian data of the same mean and covariance (null_on_device.py: on a GPU)

The exact engine, in the order of its work
    exact.py          the engine as a whole
    options.py        device, number format, tile size
    preparing.py      centre, choose a format, lay out, encode
    stored.py         rows as they are stored, and their centred form
    sampling.py       some of the rows, for measurements
    formats.py        the choice of the filter's number format, by measurement
    layout.py         slots, blocks of 64 slots, nested prefixes
    encoding.py       rows in that format; one matrix product gives half squared distances, with error bounds
    side.py           the encoded queries, or the encoded database
    search.py         a prepared search: both sides, and how its tiles are made
    shifting.py       a number that rounded products are less by, so that near pairs are rounded less
    duplicates.py     rows equal to the last bit, resolved before the search
    tile.py           one tile of products
    tile_bounds.py    bounds on the distances of its pairs
    filtering.py      all pairs, tile by tile → bounds and candidates
    candidates.py     the state that tiles add to; states merge in any order
    task.py           a prepared search with its state, and the account of its work
    finishing.py      from the state of all tiles to the answer
    pairs.py          lists of pairs
    rescoring.py      distances of candidates in float64, by direct subtraction
    float32_level.py  rows with too many candidates in a 16-bit format
    float64_level.py  rows with too many candidates even so (float64_tile.py: its tiles)
    sorting.py        the fastest sort and comparison of a device
    certificate.py    rounding bounds of float32 and float64 products
    counting.py       number of rows within radii
    strips.py         the tiles cut into parts of equal size
    splitting.py      one search by several workers: plan, states of parts
    settling.py       the answer, from the states of all parts, for ranges of the queries
    threads.py        tiles in several threads of a CPU
    ticking.py        progress callbacks

The filter on a GPU, in place of tile.py
    device_rows.py    the rows on the device, copied there once
    strip_search.py   panels of queries with all columns: limits, candidates, one wait for each
    appending.py      the pairs of a strip within the limits, listed by torch or by the kernel
    strip_kernel.py   the Triton kernel
    pool.py           the list that it appends to
    self_test.py      the kernel against float64, before its first use on a device

FAISS beside it
    faiss_index.py    its flat, IVF and HNSW indices (the only file that imports faiss)
    faiss_search.py   nested search by them; flat is certified, by rescoring and a rounding bound
    approximation.py  recall and bias of the approximate ones
"""

from workers.neighbors.library import nearest_neighbors

__all__ = ["nearest_neighbors"]
