"""Exact nearest neighbours and the statistics of their distances. Pure: arrays in, arrays and frozen dataclasses out.

reference.py    float64 brute force that defines the answer
permutation.py  the seeded order whose prefixes are the fractions
state.py        what is known of a row so far: best candidates, and a floor under everything not looked at
certificate.py  rigorous error bounds of float32 and float64 filter distances
faiss_index.py  FAISS, its flat index and the index cache (the only file that imports faiss)
nested.py       neighbours within each prefix, in one pass over all pairs, certified
statistics.py   distributions, histograms, duplicates
null_model.py   what a Gaussian of the same mean and covariance would give
"""
