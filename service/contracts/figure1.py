"""Fig. 1: minima of the landscapes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.contracts.base import Contract


class Landscape(Contract):
    """One energy on one set of patterns."""

    energy: Literal["energy", "energy_mchn"]
    beta: float
    minima: list[list[float]]
    smallest_curvature: float = Field(description="of the Hessian on the plotted domain; below 0: not convex")


class Landscapes(Contract):
    """All energies on one set of patterns."""

    patterns: list[list[float]]
    landscapes: list[Landscape]
    spread: float = Field(description="Δ = max ‖ρ‖² − min ‖ρ‖²")
    log_patterns: float


class Figure1Claims(Contract):
    """The claims of section 4 on the figure."""

    mchn_convex: bool
    landscapes_resemble: bool


class Figure1Sets(Contract):
    """Both sets."""

    two_dimensions: Landscapes
    one_dimension: Landscapes


class Figure1Theory(Contract):
    """`GET /v1/theory/figure1`."""

    paper_literal: Figure1Claims
    corrected: Figure1Sets
    notes: list[str]
