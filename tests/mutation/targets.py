"""The functions that carry the bounds of a search, and for each module the tests that must notice a change."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tests.mutation.mutants import Mutant, mutants_of

SEED, MOST = 0, 12  # a seeded sample of each module's mutants: all of them would take hours
_T = "tests/neighbors/"
_FORMULAS = f"{_T}test_bound_formulas.py"
_OF_FILTERS = (
    f"{_FORMULAS}::test_gamma_of_a_float32_or_float64_filter",
    f"{_FORMULAS}::test_more_dimensions_than_a_format_can_add_have_no_bound",
    f"{_FORMULAS}::test_the_lower_bound_of_a_filter_distance",
)
_OF_TILES = (
    f"{_FORMULAS}::test_rows_at_the_centre_have_the_absolute_bound_alone",
    f"{_FORMULAS}::test_bounds_of_a_tile_are_the_formula",
    f"{_FORMULAS}::test_products_below_the_largest_value_are_those_whose_lower_bound_is_within_the_limit",
    f"{_FORMULAS}::test_no_pair_within_the_limit_has_a_product_above_the_largest_value",
)
_CONTRADICTION = "test_a_rescored_distance_above_its_upper_bound_is_a_contradiction"
_OF_FLOAT64 = f"{_FORMULAS}::test_bounds_of_a_float64_tile_are_the_formula"


@dataclass(frozen=True)
class Target:
    """Some functions of one module of a package of `workers`, and the tests (node ids), fastest first."""

    module: str
    functions: tuple[str, ...]
    tests: tuple[str, ...]
    package: str = "neighbors"

    @property
    def name(self) -> str:
        """Of the module, as it is imported."""
        return f"workers.{self.package}.{self.module}"

    def every(self) -> list[Mutant]:
        """All mutants of the functions."""
        return mutants_of(self.name, self.functions)

    def sample(self) -> list[Mutant]:
        """At most `MOST` of them, by a hash of their keys: a change of the source replaces few of the others."""
        return sorted(self.every(), key=lambda mutant: hashlib.sha256(f"{SEED} {mutant.key}".encode()).digest())[:MOST]


TARGETS = (
    Target(
        "certificate",
        ("FilterBound.gamma", "FilterBound.lower", "float32_bound", "float64_bound"),
        (*_OF_FILTERS, f"{_T}test_faiss_search.py::test_flat_sends_what_it_cannot_prove_to_the_exact_engine"),
    ),
    Target(
        "encoding",
        ("Encoding.gamma", "Encoding.relative", "Encoding.absolute", "Encoding.encode", "Encoding.write_rows",
         "Encoding.complete", "Encoding.left", "Encoding.values", "Encoding.least_half_sq", "Encoding.most_half_sq",
         "Encoding.largest_value"),
        (_FORMULAS, f"{_T}test_bounds.py::test_half_of_the_rows_errors_would_be_caught", f"{_T}test_shifting.py"),
    ),
    Target(
        "filtering",
        ("_collect", "_reached_rows", "pairs_below"),
        (f"{_T}test_bounds.py::test_no_pair_within_the_limit_is_passed_over",
         f"{_T}test_reach.py::test_queries_from_elsewhere",
         f"{_T}test_reach.py::test_a_thousand_copies_cost_what_two_do", f"{_T}test_parts.py"),
    ),
    Target(
        "tile_bounds",
        ("TileBounds.take", "TileBounds.uppers", "TileBounds.lowers", "TileBounds.largest_values",
         "TileBounds.largest_value", "TileBounds._largest", "TileBounds._slack_sq"),
        (*_OF_TILES, f"{_T}test_bounds.py::test_no_pair_within_the_limit_is_passed_over"),
    ),
    Target(
        "candidates",
        ("CandidateState.limits", "CandidateState.offer", "CandidateState.prune", "CandidateState.cut",
         "merge_candidates"),
        (f"{_T}test_candidates.py", f"{_T}test_parts.py"),
    ),
    Target(
        "rescoring",
        ("measure_candidates", "candidate_pairs", "rescore", "rescore_nearest_first", "measure", "scaled_up",
         "_contradicted"),
        (f"{_T}test_rescoring.py", f"{_T}test_float64_level.py", f"{_T}test_candidates.py::{_CONTRADICTION}",
         f"{_T}test_candidates.py::test_a_tile_that_exhausts_the_memory_amid_its_work_is_searched_again",
         f"{_T}test_duplicates.py",
         f"{_T}test_scales.py::test_rows_of_very_different_size_in_one_set"),
    ),
    Target(
        "settling",
        ("query_blocks", "ranges_of", "cut_state", "settle", "join_settled", "_merged", "_share"),
        (f"{_T}test_parts.py",),
    ),
    Target(
        "float64_tile",
        ("Float64Tile.bounds", "Float64Tile._excluded"),
        (_OF_FLOAT64, f"{_T}test_float64_level.py"),
    ),
    Target(
        "float64_level",
        ("_search_rows", "_keep_nearest", "_candidates", "_kth_of_rows"),
        (f"{_T}test_float64_level.py",),
    ),
    Target(
        "counting",
        ("_Counter.count_tile", "_Counter._few_pairs", "_Counter._count_dense", "_Counter._buckets",
         "_Counter._bucket_pairs", "_Counter._add", "_bucket"),
        (
            f"{_T}test_counting.py",
            f"{_T}test_scales.py::test_pairs_within_radii_are_counted_at_every_scale",
            "tests/devices/test_search_counts.py::test_counts_are_those_of_the_cpu",
        ),
    ),
    Target(
        "faiss_search",
        ("_Best.merge", "_search_stretch", "_floor", "_search_exactly"),
        (f"{_T}test_faiss_search.py", f"{_T}test_exact.py::test_sixty_four_neighbors"),
    ),
    Target(
        "float32_level",
        ("search_float32", "_search_rows", "_beyond", "_within_reach", "_norm_bounds", "_about",
         "_padded"),
        (f"{_T}test_float32_level.py",),
    ),
    Target(
        "finishing",
        ("answer", "_rescore_ranges", "_ranges"),
        (f"{_T}test_rescoring.py", f"{_T}test_float32_level.py", f"{_T}test_duplicates.py",
         f"{_T}test_candidates.py"),
    ),
    Target("stored", ("_extent", "scale_below"), (f"{_T}test_stored.py",)),
    Target(
        "filter",
        ("Filter.of", "Filter.queries", "FilterQueries.products", "FilterTile.__init__", "FilterTile.cells",
         "FilterTile._plain_minima", "FilterTile._lifted_minima", "FilterTile._error", "FilterTile._lift_error",
         "_encoded"),
        ("tests/energy/test_filter.py",),
        package="energy",
    ),
)  # fmt: skip
