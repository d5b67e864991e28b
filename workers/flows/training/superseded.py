"""Removal of kept models that newer ones supersede, where the spec keeps the best and the last ones only.

What stays is computed from what is recorded, so it is the same after a worker died. A newer model is published before
an older one is removed, and a model that a job names is not removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog import training as catalog
from service.contracts.training import Keep, TrainingSpec
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.publishing import remove
from workers.training.checkpoints import kept_step


def is_regular(spec: TrainingSpec, step: int) -> bool:
    """Whether the model of a step is kept whatever its loss is."""
    return step == spec.steps or (spec.kept_every is not None and step % spec.kept_every == 0)


def staying(kept: Sequence[int], best: int | None, spec: TrainingSpec, keep: Keep) -> set[int]:
    """The steps among `kept`, in order, whose models stay: the newest, the last regular ones, and the best."""
    stay = {*kept[-1:], *[step for step in kept if is_regular(spec, step)][-keep.last :]}
    return {step for step in kept if step in stay or (keep.best and step == best)}


def remove_superseded(run_id: str, spec: TrainingSpec, until: int, owner: SegmentOwner) -> None:
    """Remove the superseded models of steps up to `until`, the newest saved one, first their rows, then their files.

    Raises:
        Cancelled, Superseded: this worker no longer owns the segment.
    """
    current, keep = owner.runtime, spec.keep
    if keep is None:
        return
    kept = _kept(current, run_id, until)
    least = current.read(lambda connection: catalog.least_loss(connection, run_id, until))
    superseded = {*kept} - staying(kept, None if least is None else least[1], spec, keep)
    if superseded:
        owner.record(lambda connection: catalog.drop_checkpoints(connection, run_id, superseded))
        kept = _kept(current, run_id, until)
    folders = {path: kept_step(path.name) for path in current.artifact(run_id).glob("step-*")}
    without_row = [path for path, step in folders.items() if step <= until and step not in kept]
    if without_row:
        remove(owner, *without_row)


def _kept(current: Runtime, run_id: str, until: int) -> list[int]:
    """The steps up to `until` whose models are recorded, in order."""
    found = current.read(lambda connection: catalog.checkpoints(connection, run_id))
    return [checkpoint.step for checkpoint in found if checkpoint.step <= until]
