from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.artifacts.activation_set import save_tensors
from service.artifacts.manifest import describe_file, write_manifest
from service.artifacts.report import ReportFolder, pair_orders
from service.errors import CorruptArtifact, NotFound

Array = np.ndarray
NEIGHBORS = "neighbors.safetensors"


def line(places: list[float]) -> tuple[Array, Array]:
    """Nearest other point of each point on a line, the lower number of equal ones; -1 and inf when there is none."""
    points = np.array(places, dtype=float)
    apart = np.abs(points[:, None] - points[None, :])
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    distances = apart[np.arange(len(points)), nearest]
    return np.where(np.isfinite(distances), nearest, -1), distances


def report(folder: Path, nearest: Array, distances: Array, rows: Array | None = None) -> ReportFolder:
    rows = np.arange(len(nearest)) if rows is None else rows
    order = np.random.default_rng(0).permutation(len(rows))
    tensors = {"rows": rows[order], "ids": nearest[order, None], "distances": distances[order, None]}
    save_tensors(folder / NEIGHBORS, tensors | {"nn_distance_0": distances[:2], "nn_distance_1": distances[order]})
    sha256 = write_manifest(folder, {"kind": "radius", "id": "rad-1", "files": [describe_file(folder / NEIGHBORS)]})
    return ReportFolder(folder, sha256)


def test_pairs_are_listed_once_nearest_first(tmp_path: Path):
    made = report(tmp_path, *line([0, 1, 3, 10, 10.5]))
    assert made.pairs(farthest=False, start=0, count=10) == ([(3, 4, 0.5), (0, 1, 1.0), (2, 1, 2.0)], False)


def test_pairs_are_listed_farthest_first_on_demand(tmp_path: Path):
    made = report(tmp_path, *line([0, 1, 3, 10, 10.5]))
    assert made.pairs(farthest=True, start=0, count=2) == ([(2, 1, 2.0), (0, 1, 1.0)], True)
    assert made.pairs(farthest=True, start=2, count=2) == ([(3, 4, 0.5)], False)
    assert made.pairs(farthest=True, start=3, count=2) == ([], False)


def test_the_pairs_of_many_rows_are_put_in_order_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    n, sorts, sort = 300_000, [], np.lexsort
    monkeypatch.setattr(np, "lexsort", lambda keys: sorts.append(len(keys[0])) or sort(keys))
    distances = np.random.default_rng(3).integers(0, 1000, n).astype(float)
    made = report(tmp_path, (np.arange(n) + 1) % n, distances)
    for farthest in (False, True):
        expected = np.lexsort((np.arange(n), -distances if farthest else distances))
        sorts.clear()
        orders = pair_orders()
        for start in (0, 200, n // 2, n - 100):
            pairs, more = made.pairs(farthest=farthest, start=start, count=200, orders=orders)
            assert [row for row, _, _ in pairs] == expected[start : start + 200].tolist()
            assert all((nearest, apart) == ((row + 1) % n, distances[row]) for row, nearest, apart in pairs)
            assert more == (start + 200 < n)
        assert sorts == [n]


def test_an_order_that_is_too_large_is_made_for_each_page(tmp_path: Path):
    made, orders = report(tmp_path, *line([0, 1, 3, 10, 10.5])), pair_orders(most_bytes=8)
    for _ in range(2):
        assert made.pairs(farthest=True, start=2, count=2, orders=orders) == ([(3, 4, 0.5)], False)
    assert orders.get((made.sha256, True, True)) is None


def test_a_report_that_was_damaged_has_no_page_even_with_its_order_kept(tmp_path: Path):
    made, orders = report(tmp_path, *line([0, 1, 3])), pair_orders()
    made.pairs(farthest=True, start=0, count=1, orders=orders)
    content = (tmp_path / NEIGHBORS).read_bytes()
    (tmp_path / NEIGHBORS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CorruptArtifact):
        ReportFolder(tmp_path, made.sha256).pairs(farthest=True, start=0, count=1, orders=orders)


@pytest.mark.parametrize("farthest", [False, True])
def test_equal_distances_are_ordered_by_row(tmp_path: Path, farthest: bool):
    made = report(tmp_path, *line([0, 1, 10, 11, 20, 21]))
    assert [row for row, _, _ in made.pairs(farthest=farthest, start=0, count=9)[0]] == [0, 2, 4]


def test_pages_together_are_the_whole(tmp_path: Path):
    made = report(tmp_path, *line(np.random.default_rng(1).normal(size=200).tolist()))
    whole, more = made.pairs(farthest=True, start=0, count=1000)
    pages = [made.pairs(farthest=True, start=start, count=7) for start in range(0, len(whole), 7)]
    assert [pair for page, _ in pages for pair in page] == whole
    assert [following for _, following in pages] == [True] * (len(pages) - 1) + [False]
    assert not more


def test_a_row_without_a_neighbor_is_in_no_pair(tmp_path: Path):
    nearest, distances = np.array([1, 0, -1]), np.array([2.0, 2.0, np.inf])
    made = report(tmp_path, nearest, distances)
    assert made.pairs(farthest=True, start=0, count=9) == ([(0, 1, 2.0)], False)
    assert made.distances(1).tolist() == [2.0, 2.0]


def test_rows_may_be_a_part_of_the_set(tmp_path: Path):
    made = report(tmp_path, np.array([90, 7, 7]), np.array([1.0, 1.0, 4.0]), rows=np.array([7, 90, 40]))
    assert made.pairs(farthest=True, start=0, count=9) == ([(40, 7, 4.0), (7, 90, 1.0)], False)


def test_a_report_of_no_rows_has_no_pairs(tmp_path: Path):
    nothing = np.array([], dtype=np.int64)
    assert report(tmp_path, nothing, nothing.astype(float)).pairs(farthest=True, start=0, count=5) == ([], False)


def test_a_changed_or_missing_file_is_found(tmp_path: Path):
    made = report(tmp_path, *line([0, 1, 3]))
    sound = made.file(NEIGHBORS).read_bytes()
    (tmp_path / NEIGHBORS).write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(CorruptArtifact):
        made.file(NEIGHBORS)
    (tmp_path / NEIGHBORS).unlink()
    with pytest.raises(CorruptArtifact):
        made.distances(0)
    with pytest.raises(NotFound):
        made.file("manifest.json")
