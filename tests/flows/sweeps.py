"""Sweeps made by hand, as the catalog would give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.contracts.base import now
from service.contracts.sweeps import Stopping, StoppingWindow, Sweep, SweepRun


def window(mse: float) -> StoppingWindow:
    """An MSE of which 0.001 is variance."""
    return StoppingWindow(mse=mse, mse_error=mse / 50, mean_gap=(mse - 0.001) ** 0.5, variance=0.001, points=10)


def run(
    model: str, tokens: int | None, seed: int = 0, *, before: float | None = None, after: float | None = None,
    ended: bool = True, losses: dict[str, float | None] | None = None, error: dict[str, str] | None = None,
) -> SweepRun:  # fmt: skip
    """A run with the MSE given on each side; None: a side without a window."""
    windows = {"before": before and window(before), "after": after and window(after)}
    stopping = Stopping(step=30, min_val_loss=2.0, **windows) if ended and tokens is not None else None  # pyright: ignore[reportArgumentType]
    name = f"run-{model}-{tokens}-{seed}"
    return SweepRun(
        run=name, model=model, tokens=tokens, seed=seed, step=30 if ended else 12, steps=30,
        parameters={"S1": 20_000, "S2": 80_000}.get(model, 1_000), losses=losses or {}, stopping=stopping,
        href=f"/v1/training/{name}", state="failed" if error else "succeeded" if ended else "running", error=error,
    )  # fmt: skip


def sweep(runs: Iterable[SweepRun], **values: Any) -> Sweep:
    """A sweep of these runs with σ² = 0.04, without tables."""
    given = {"experiment": "openelm", "tables": None, "seeds": None, "notes": [], "finished_at": None} | values
    return Sweep(
        id="sweep-00", job="job-00", name="by hand", spec={"sigma_sq": 0.04}, runs=list(runs), created_at=now(), **given
    )
