"""The warning that a forward pass in few digits moved the vectors by as much as a part of their distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.contracts.base import Notice

_RIVALS = 0.05  # of the distance; two rows that are both off by it change it by a tenth


def precision_notices(manifests: Sequence[dict[str, Any]], distance: float) -> list[Notice]:
    """A warning for each set whose measured deviation from a float32 forward rivals a typical nearest distance.

    Args:
        manifests: of the activation sets.
        distance: median distance of a row to its nearest other one, without duplicates.
    """
    found = [_notice(manifest, distance) for manifest in manifests]
    return [notice for notice in found if notice is not None]


def _notice(manifest: dict[str, Any], distance: float) -> Notice | None:
    parity: dict[str, Any] | None = manifest.get("parity")
    if parity is None or not distance > 0:
        return None
    # Sets made before the deviation itself was recorded have the relative one.
    deviation = parity.get("max_deviation", parity["max_relative_deviation"] * manifest["statistics"]["norm_mean"])
    if deviation < _RIVALS * distance:
        return None
    dtype, chunks = manifest["extraction"].get("dtype", "float32"), parity["chunks"]
    advice = "extract with dtype float32" if dtype != "float32" else "the model amplifies rounding"
    return Notice(
        code="forward_precision",
        message=f"{manifest['name']}: the {dtype} forward moved rows of the first {chunks} chunks by up to "
        f"{deviation:.3g} from a float32 forward, and the median nearest distance is {distance:.3g}: a distance may be "
        f"off by {2 * deviation:.3g}; {advice}",
    )
