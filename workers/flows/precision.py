"""The warning that a forward pass in few digits moved the vectors by as much as a part of their distances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.contracts.base import Notice

_RIVALS = 0.05  # of the distance; two rows that are both off by it change it by a tenth


@dataclass(frozen=True)
class MeasuredForward:
    """The forward pass of an activation set, against one in float32 of the first chunks.

    Attributes:
        name: of the set.
        deviation: largest distance of a row from that of the float32 forward.
        chunks: how many were compared.
    """

    name: str
    dtype: str
    deviation: float
    chunks: int


def measured_forward(manifest: dict[str, Any]) -> MeasuredForward | None:
    """What the manifest of an activation set says of its forward pass; None for imported vectors."""
    parity: dict[str, Any] | None = manifest.get("parity")
    if parity is None:
        return None
    # Sets made before the deviation itself was recorded have the relative one.
    deviation = parity.get("max_deviation", parity["max_relative_deviation"] * manifest["statistics"]["norm_mean"])
    dtype = manifest["extraction"].get("dtype", "float32")
    return MeasuredForward(manifest["name"], dtype, deviation, parity["chunks"])


def precision_notices(forwards: Iterable[MeasuredForward | None], distance: float) -> list[Notice]:
    """A warning for each forward pass whose deviation from a float32 one rivals a typical nearest distance.

    Args:
        distance: median distance of a row to its nearest other one, without duplicates.
    """
    return [_notice(forward, distance) for forward in forwards if forward is not None and _rivals(forward, distance)]


def _rivals(forward: MeasuredForward, distance: float) -> bool:
    return distance > 0 and forward.deviation >= _RIVALS * distance


def _notice(forward: MeasuredForward, distance: float) -> Notice:
    advice = "extract with dtype float32" if forward.dtype != "float32" else "the model amplifies rounding"
    return Notice(
        code="forward_precision",
        message=f"{forward.name}: the {forward.dtype} forward moved rows of the first {forward.chunks} chunks by up to "
        f"{forward.deviation:.3g} from a float32 forward, and the median nearest distance is {distance:.3g}: a "
        f"distance may be off by {2 * forward.deviation:.3g}; {advice}",
    )
