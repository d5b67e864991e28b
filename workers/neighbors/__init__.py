"""Exact nearest neighbours and the statistics of their distances. Pure: arrays in, arrays and frozen dataclasses out.

The answer
    reference.py      float64 brute force that defines it
    permutation.py    the seeded order whose prefixes are the fractions
    answers.py        from settled pairs to the neighbours of each row
    statistics.py     distributions, duplicates
    null_model.py     what a Gaussian of the same mean and covariance would give

The exact engine, in the order of its work
    exact.py          the whole of it, in one function
    preparing.py      what comes before the first tile
    stored.py         rows where they lie, and their centred form
    plan.py           which low-precision format filters, by measurement
    layout.py         rows into slots, blocks and nested prefixes
    encoding.py       rows in that format: one matrix product gives half squared distances
    side.py           the queries, or the database, encoded
    duplicates.py     rows equal to the last bit, settled before the search
    tile.py           one tile of products (fused_tile.py: on a GPU, by Triton)
    filtering.py      all pairs, tile by tile → bounds and candidates
    candidates.py     the algebra of bounds and candidates: tiles in any order, anywhere
    pairs.py          lists of pairs
    settling.py       true distances of candidates, in float64
    float64_level.py  rows that nothing cheaper settles (float64_tile.py: its tiles)
    certificate.py    the rounding bounds of float32 and float64 products
    counting.py       rows within radii
    strips.py         the tiles in parts of equal size
    splitting.py      one search by several workers: plan, states of parts, settling
    ticking.py        being told how far it is

FAISS beside it
    faiss_index.py    its indices and their cache (the only file that imports faiss)
    faiss_search.py   nested search by them; flat is certified
    approximation.py  recall and bias of the others
"""
