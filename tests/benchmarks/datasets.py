"""Data of the kinds that activations are, by number of rows; 1,024 dimensions but for the demo model's."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

Array = np.ndarray
_D = 1024


def massive(n: int) -> Array:
    """Rank 64 plus noise, and four massive dimensions, offset by up to 3000 with 2 % spread."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 64), dtype=np.float32) @ rng.standard_normal((64, _D), dtype=np.float32) / 8
    rows += 0.3 * rng.standard_normal((n, _D), dtype=np.float32)
    for dimension, offset in ((3, 3000), (77, -900), (500, 400), (801, 120)):
        rows[:, dimension] = offset * (1 + 0.02 * rng.standard_normal(n))
    return rows.astype(np.float32)


def clusters(n: int) -> Array:
    """Clusters of 50 rows, their spread 0.3 of that of the centres."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((-(-n // 50), _D), dtype=np.float32), 50, axis=0)[:n]
    rows = centres + 0.3 * rng.standard_normal((n, _D), dtype=np.float32)
    return rows[rng.permutation(n)].astype(np.float32)


def isotropic(n: int) -> Array:
    """Independent standard normal coordinates: the hardest case for any pruning."""
    return np.random.default_rng(0).standard_normal((n, _D), dtype=np.float32)


def long_rows(n: int) -> Array:
    """Rank 64 plus noise; one row in 32 is 300 times as long, as the first positions of a context are."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 64), dtype=np.float32) @ rng.standard_normal((64, _D), dtype=np.float32) / 8
    rows += 0.3 * rng.standard_normal((n, _D), dtype=np.float32)
    rows[::32] *= 300
    return rows.astype(np.float32)


def demo_model(n: int) -> Array:
    """Activations of the demo model at all positions: the set in the folder RADIUS_BENCH_SET (see CONTRIBUTING.md)."""
    shards = sorted(Path(os.environ["RADIUS_BENCH_SET"]).glob("shard-*.safetensors"))
    return np.concatenate([load_file(path)["vectors"] for path in shards])[:n]


def rows_of(name: str, n: int) -> Array:
    """Rows of a `.npy` file, one of those in RADIUS_BENCH_ROWS (see CONTRIBUTING.md)."""
    return np.load(name, mmap_mode="r")[:n].astype(np.float32)


DATASETS: dict[str, Callable[[int], Array]] = {
    "massive": massive,
    "clusters": clusters,
    "isotropic": isotropic,
    "long_rows": long_rows,
}
if "RADIUS_BENCH_SET" in os.environ:
    DATASETS["demo_model"] = demo_model
DATASETS |= {Path(name).stem: partial(rows_of, name) for name in os.environ.get("RADIUS_BENCH_ROWS", "").split()}
