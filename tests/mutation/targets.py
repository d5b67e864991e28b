"""The functions that carry the bounds of a search, and for each module the tests that must notice a change."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.mutation.mutants import Mutant, mutants_of

SEED, MOST = 0, 16  # of each module, a seeded sample: all of them would take hours
_T = "tests/neighbors/"
_FORMULAS = f"{_T}test_bound_formulas.py"


@dataclass(frozen=True)
class Target:
    """Some functions of one module of `workers.neighbors`, and the tests (node ids), fastest first."""

    module: str
    functions: tuple[str, ...]
    tests: tuple[str, ...]

    def every(self) -> list[Mutant]:
        """All mutants of the functions."""
        return mutants_of(f"workers.neighbors.{self.module}", self.functions)

    def sample(self) -> list[Mutant]:
        """At most `MOST` of them."""
        every = self.every()
        chosen = random.Random(SEED).sample(range(len(every)), min(MOST, len(every)))
        return [every[at] for at in sorted(chosen)]


TARGETS = (
    Target(
        "certificate",
        ("FilterBound.gamma", "FilterBound.lower", "float32_bound", "float64_bound"),
        (_FORMULAS, f"{_T}test_faiss_search.py::test_flat_sends_what_it_cannot_prove_to_the_exact_engine"),
    ),
    Target(
        "encoding",
        ("Encoding.gamma", "Encoding.relative", "Encoding.absolute", "Encoding.encode", "Encoding.left"),
        (_FORMULAS, f"{_T}test_bounds.py"),
    ),
    Target(
        "filtering",
        ("_collect", "pairs_below", "TileBounds.uppers", "TileBounds.lowers", "TileBounds.largest_values",
         "TileBounds._slack_sq"),
        (_FORMULAS, f"{_T}test_bounds.py", f"{_T}test_reach.py::test_queries_from_elsewhere",
         f"{_T}test_exact.py::test_sixty_four_neighbors"),
    ),
    Target(
        "candidates",
        ("CandidateState.limits", "CandidateState.offer", "CandidateState.prune", "CandidateState._within",
         "merge_candidates"),
        (f"{_T}test_candidates.py",),
    ),
    Target(
        "rescoring",
        ("rescore", "rescore_nearest_first", "measure"),
        (f"{_T}test_rescoring.py", f"{_T}test_exact.py::test_sixty_four_neighbors", f"{_T}test_candidates.py"),
    ),
    Target(
        "float64_tile",
        ("Float64Tile.bounds", "Float64Tile._excluded"),
        (_FORMULAS, f"{_T}test_counting.py"),
    ),
    Target(
        "float64_level",
        ("_search_rows", "_keep_nearest", "_candidates", "_kth_of_rows"),
        (f"{_T}test_float64_level.py", f"{_T}test_candidates.py"),
    ),
    Target(
        "counting",
        ("_Counter.count_tile", "_Counter._few_pairs", "_Counter._count_dense", "_Counter._count_sides",
         "_Counter._bucket"),
        (f"{_T}test_counting.py",),
    ),
    Target(
        "faiss_search",
        ("_Best.merge", "_search_stretch", "_floor", "_search_exactly"),
        (f"{_T}test_faiss_search.py", f"{_T}test_exact.py::test_every_prefix_equals_the_reference"),
    ),
    Target("exact", ("_contradicted",), (f"{_T}test_reach.py::test_a_device_that_multiplies_wrongly_is_detected",)),
    Target("stored", ("_longest",), (_FORMULAS, f"{_T}test_stored.py")),
)  # fmt: skip
