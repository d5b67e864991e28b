"""Table 1 of the paper: Hopfield networks, their energies and how many patterns they store.

n is the dimension, d the number of patterns, r the order of the polynomial F, M the matrix of patterns, W = M Mᵀ.
Sources: Hopfield 1982; Krotov and Hopfield 2016; Demircigil et al. 2017; Ramsauer et al. 2020.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class HopfieldCapacity:
    """A row of Table 1."""

    reference: str
    domain: str
    energy: str
    capacity: str


_CUBE, _MCHN = "{−1, +1}^n", "Ramsauer et al. (2020)"
_MCHN_ENERGY = "−LogSumExp(β, Mᵀx) + ½xᵀx + β⁻¹ log d + max_i‖ρ_i‖²/2"
TABLE_1 = (
    HopfieldCapacity("Hopfield (1982)", _CUBE, "−½ xᵀWx − bᵀx", "O(n)"),
    HopfieldCapacity("Krotov and Hopfield (2016)", _CUBE, "−Σ_{i=1}^n F(ρ_iᵀx)", "Θ(n^r)"),
    HopfieldCapacity("Demircigil et al. (2017)", _CUBE, "−LogSumExp(Mᵀx)", "Θ(2^{n/2})"),
    HopfieldCapacity(_MCHN, "R^n", _MCHN_ENERGY, "Θ(c^{(n−1)/4})"),
)
CORRECTED_TABLE_1 = (
    TABLE_1[0],
    HopfieldCapacity("Krotov and Hopfield (2016)", _CUBE, "−Σ_{i=1}^d F(ρ_iᵀx)", "Θ(n^{r−1})"),
    HopfieldCapacity("Demircigil et al. (2017)", _CUBE, "−Σ_{i=1}^d exp(ρ_iᵀx)", "Θ(2^{n/2})"),
    TABLE_1[3],
)
_NOTES = [
    "Table 1: the energy of Krotov and Hopfield is a sum over the d patterns, not over the n coordinates.",
    "Table 1: with a polynomial of order r the capacity grows as n^{r−1}, which for r = 2 is Hopfield's n; not as n^r.",
    "Table 1: Demircigil et al. have −Σ exp; the printed −LogSumExp is monotone in it, with the same minima.",
    "Table 1: the capacities are for random patterns and retrieval with small or vanishing error, which the table "
    "leaves out.",
]


def hopfield_capacities_theory() -> dict[str, Any]:
    """Table 1 as printed and corrected."""
    return {
        "paper_literal": {"rows": [asdict(row) for row in TABLE_1]},
        "corrected": {"rows": [asdict(row) for row in CORRECTED_TABLE_1]},
        "notes": _NOTES,
    }
