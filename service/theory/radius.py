"""The radius answers: what the paper's formula gives, what the correct one gives, and how they differ."""

from __future__ import annotations

from typing import Any

from service.theory.balls import asymptotic_unit_radius, unit_volume_radius
from service.theory.unit_partition import unit_partition_radius

_NOTES = [
    "Section 5.3: √(n/2πe) is Stirling's leading term; the ball of that radius has volume about 1/√(πn), not 1.",
    "Eq. (12): the radius at which d equal balls have Z = 1 uses P(n/2, r²); the printed γ(n, r) is another function.",
]
_DIMENSION_NOTE = (
    "Section 3 defines a pattern as a whole sequence, n = T_max·d_emb; the experiment of appendix F.1 measures one "
    "token's activation, n = d_emb. `sequence` holds the first reading, the fields beside it the second."
)


def radius_theory(n: int, d: int) -> dict[str, Any]:
    """Radius and nearest-neighbour distance (twice the radius) for dimension n and d patterns.

    Raises:
        InvalidInput: n or d out of range.
    """
    return {"n": n, "d": d, "paper_literal": _literal(n), "corrected": _corrected(n, d), "notes": _NOTES}


def report_theory(d_model: int, patterns: int, chunk_tokens: int | None, *, layer_norm: bool = False) -> dict[str, Any]:
    """The `theory` block of a radius report, for n = d_model and, where text is known, n = chunk_tokens · d_model.

    Args:
        layer_norm: whether the patterns are outputs of a LayerNorm; `plane` then says where they lie.
    """
    literal, corrected = {"n": d_model} | _literal(d_model), {"n": d_model} | _with_distance(d_model, patterns)
    if chunk_tokens is not None:
        n = chunk_tokens * d_model
        literal["sequence"] = {"n": n} | _literal(n)
        corrected["sequence"] = {"n": n} | _with_distance(n, patterns)
    notes = [*_NOTES, _DIMENSION_NOTE] if chunk_tokens is not None else _NOTES
    plane = _plane(d_model) if layer_norm else None
    return {"patterns": patterns, "paper_literal": literal, "corrected": corrected, "notes": notes, "plane": plane}


def _plane(d_model: int) -> dict[str, Any]:
    """LayerNorm gives γ ⊙ z + β with Σ z = 0 and ‖z‖² = n·var/(var + ε)."""
    note = (
        f"The patterns are outputs of a LayerNorm, γ ⊙ z + β with Σ z = 0 and ‖z‖ ≤ √n: they lie in a hyperplane of "
        f"{d_model - 1:,} dimensions, near an ellipsoid, whose volume in R^{d_model} is 0. Balls of R^n, of which the "
        "theory is, lie outside of it almost everywhere."
    )
    return {"dimension": d_model - 1, "note": note}


def _literal(n: int) -> dict[str, Any]:
    radius = asymptotic_unit_radius(n)
    return {"radius": radius, "nn_distance": 2 * radius}


def _corrected(n: int, d: int) -> dict[str, Any]:
    return {"unit_volume_radius": unit_volume_radius(n), "unit_partition_radius": unit_partition_radius(n, d)}


def _with_distance(n: int, d: int) -> dict[str, Any]:
    found = _corrected(n, d)
    return found | {"nn_distance": 2 * found["unit_volume_radius"]}
