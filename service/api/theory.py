"""`/v1/theory`: closed forms, literal and corrected."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.api.problems import RESPONSES
from service.theory.radius import radius_theory

router = APIRouter(prefix="/v1/theory", tags=["theory"], responses={422: RESPONSES[422]})


@router.get("/radius")
def get_theory_radius(
    n: Annotated[int, Query(ge=1, le=2**24, description="dimension")],
    d: Annotated[int, Query(ge=1, le=10**18, description="number of patterns")],
) -> dict[str, Any]:
    """Radius and nearest-neighbour distance that the paper's formula and the correct ones give."""
    return radius_theory(n, d)
