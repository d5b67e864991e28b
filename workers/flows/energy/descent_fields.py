"""Fields of the report on blocks as a search, with errors by documents and verdicts: arrays in, contracts out, no I/O.

Points and patterns are of different documents, so the rows of one document are a cluster and nothing else ties rows
together, given the patterns and the steps. A null is compared by the differences row by row, block − null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.contracts.descent_report import (
    BlockReport,
    BlockVerdict,
    LayerPairs,
    MoveReport,
    NullStep,
    NullStepKind,
    StepEstimates,
)
from service.contracts.statistics import Estimated
from workers.energy.descent import BlockDescent, Move, Place
from workers.energy.null_steps import NullKind
from workers.flows.energy.fields import distribution
from workers.flows.estimated import estimated
from workers.statistics.documents import Documents
from workers.statistics.estimate import Estimate, cluster_estimate, share_estimate

Array = np.ndarray
ONE_POINT = "there is no other point whose step could be taken"
NO_CHANGE = "the change is the same at all points"
OWN_LAYER = "the block's own layer"


@dataclass(frozen=True)
class Verdict:
    """The verdict of the paired intervals on a block; `reason` says why `result` is None."""

    best: NullStepKind | None
    result: BlockVerdict | None
    reason: str | None = None


@dataclass(frozen=True)
class LayerDecreases:
    """(l, q) whether g and E among the patterns of one layer decrease by the move of each of the l blocks."""

    g: Array
    energy: Array

    @classmethod
    def of(cls, places: Sequence[Place]) -> LayerDecreases:
        """Compare the energies at x_0 … x_l, each with the one before."""
        g, energy = np.stack([place.g for place in places]), np.stack([place.energy for place in places])
        return cls(g[1:] < g[:-1], energy[1:] < energy[:-1])


def block_report(layer: int, site: str | None, found: BlockDescent, documents: Documents) -> BlockReport:
    """One block beside its null models.

    Args:
        documents: the documents of the points.
    """
    nulls = [_null_step(kind, found.block, null, documents) for kind, null in found.nulls.items()]
    verdict, random = block_verdict(nulls), found.nulls["random_step"]
    assert random is not None
    return BlockReport(
        layer=layer,
        site=site,
        step_sq=distribution(found.step_sq),
        g_before=float(found.block.before.g.mean()),
        reachable=float(found.reachable.mean()),
        block=_move_report(found.block),
        measured=_estimates(_values(found.block), documents),
        nulls=nulls,
        best_null=verdict.best,
        verdict=verdict.result,
        verdict_reason=verdict.reason,
        random=_move_report(random),
    )


def block_verdict(nulls: Sequence[NullStep]) -> Verdict:
    """Judge a block by the paired intervals of the shares of points whose g decreases.

    Nulls are tried by their share, the largest first: the first one whose interval does not lie above 0 is named. So
    "nearer than every null" is said only where the block is distinguished from every one of them.
    """
    known = [(null, share) for null in nulls if (share := null.measured.g_decreases.value) is not None]
    ordered = [null for null, _ in sorted(known, key=lambda pair: -pair[1])]
    best = ordered[0].kind if ordered else None
    for null in ordered:
        difference = null.block_minus_null.g_decreases
        if difference.interval is None:
            return Verdict(best, None, difference.reason)
        low, high = difference.interval
        if low <= 0:
            return Verdict(best, _WORSE[null.kind] if high < 0 else _NOT_DISTINGUISHED[null.kind])
    return Verdict(best, "nearer than every null") if ordered else Verdict(None, None, "there is no null")


_NOT_DISTINGUISHED: dict[NullStepKind, BlockVerdict] = {
    "mean_step": "not distinguished from mean_step",
    "permuted_step": "not distinguished from permuted_step",
    "random_step": "not distinguished from random_step",
}
_WORSE: dict[NullStepKind, BlockVerdict] = {
    "mean_step": "worse than mean_step",
    "permuted_step": "worse than permuted_step",
    "random_step": "worse than random_step",
}


def overall_verdict(blocks: Sequence[BlockReport]) -> str:
    """The verdicts of all blocks in a sentence: how many are nearer than every null, then the others by their words."""
    layers: dict[str, list[str]] = {}
    for block in blocks:
        verdict = block.verdict or f"no verdict ({block.verdict_reason})"
        layers.setdefault(verdict, []).append(str(block.layer))
    nearer = layers.pop("nearer than every null", [])
    first = f"{len(nearer)} of {len(blocks)} blocks bring their points nearer to a pattern than every null"
    others = [f"{verdict}: {', '.join(named)}" for verdict, named in sorted(layers.items())]
    return "; ".join([first + (f": {', '.join(nearer)}" if nearer else ""), *others]) + "."


def layer_pairs(layers: Sequence[LayerDecreases], documents: Documents) -> LayerPairs | None:
    """Every block's move among the patterns of every layer, beside its own layer's; None for one block.

    Args:
        layers: among the patterns of layers 1 … l.
    """
    if len(layers) < 2:
        return None
    g, energy = ([getattr(layer, name).astype(np.float64) for layer in layers] for name in ("g", "energy"))
    return LayerPairs(
        g_decreases=_shares(g, documents),
        energy_decreases=_shares(energy, documents),
        own_minus_other_g=_differences(g, documents),
        own_minus_other_energy=_differences(energy, documents),
    )


def _shares(layers: list[Array], documents: Documents) -> list[list[Estimated]]:
    return [[estimated(share_estimate(block, documents)) for block in layer] for layer in layers]


def _differences(layers: list[Array], documents: Documents) -> list[list[Estimated]]:
    def difference(t: int, s: int) -> Estimated:
        if t == s:
            return estimated(Estimate.missing(OWN_LAYER))
        return estimated(share_estimate(layers[s][s] - layers[t][s], documents, lowest=-1.0))

    count = range(len(layers))
    return [[difference(t, s) for s in count] for t in count]


def _null_step(kind: NullKind, block: Move, null: Move | None, documents: Documents) -> NullStep:
    if null is None:
        return NullStep(kind=kind, measured=_missing(ONE_POINT), block_minus_null=_missing(ONE_POINT))
    own, other = _values(block), _values(null)
    differences = {name: own[name] - other[name] for name in own}
    return NullStep(
        kind=kind,
        measured=_estimates(other, documents),
        block_minus_null=_estimates(differences, documents, lowest=-1.0),
    )


def _missing(reason: str) -> StepEstimates:
    none = estimated(Estimate.missing(reason))
    return StepEstimates(g_decreases=none, energy_decreases=none, g_change=none, energy_change=none)


def _values(move: Move) -> dict[str, Array]:
    """(q,) of every field of `StepEstimates`."""
    return {
        "g_decreases": (move.after.g < move.before.g).astype(np.float64),
        "energy_decreases": (move.after.energy < move.before.energy).astype(np.float64),
        "g_change": move.after.g - move.before.g,
        "energy_change": move.after.energy - move.before.energy,
    }


def _estimates(values: dict[str, Array], documents: Documents, lowest: float = 0.0) -> StepEstimates:
    shares = {name: share_estimate(values[name], documents, lowest) for name in ("g_decreases", "energy_decreases")}
    changes = {name: _mean_estimate(values[name], documents) for name in ("g_change", "energy_change")}
    return StepEstimates(**{name: estimated(found) for name, found in (shares | changes).items()})


def _mean_estimate(values: Array, documents: Documents) -> Estimate:
    """The mean with its error by documents, which equal values do not give."""
    found = cluster_estimate(values, documents)
    return Estimate.alone(float(values.mean()), NO_CHANGE) if found.standard_error == 0 else found


def _move_report(move: Move) -> MoveReport:
    known = move.cosine[np.isfinite(move.cosine)]
    values = _values(move)
    return MoveReport(
        decrease_share=float(values["g_decreases"].mean()),
        g_change=float(values["g_change"].mean()),
        energy_change=float(values["energy_change"].mean()),
        cosine=float(known.mean()) if len(known) else None,
        same_nearest_share=float((move.after.nearest == move.before.nearest).mean()),
    )
