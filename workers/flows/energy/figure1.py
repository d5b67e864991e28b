"""The energy report of the built-in: the paper's Fig. 1, redrawn."""

from __future__ import annotations

import time
from pathlib import Path

from service.artifacts.report import FIGURE, write_report
from service.contracts.base import now
from service.contracts.energy_report import EnergyReport
from service.contracts.figure1 import Figure1Theory
from service.provenance import provenance
from service.theory.figure1 import figure1_theory
from workers.figures.figure1 import draw_figure1


def write_figure1(folder: Path, job_id: str, report_id: str) -> None:
    """Write the report and its figures into a folder."""
    began, theory = time.perf_counter(), figure1_theory()
    folder.mkdir(parents=True, exist_ok=True)
    figures = draw_figure1(folder / FIGURE)
    report = EnergyReport(
        id=report_id,
        job=job_id,
        activations=[],
        queries=None,
        name="Fig. 1",
        d_model=2,
        points=0,
        layers=[],
        energy_global=None,
        descent=None,
        figure1=Figure1Theory.model_validate(theory),
        warnings=[],
        notes=theory["notes"],
        timing={"total_s": time.perf_counter() - began},
        provenance=provenance(("numpy", "matplotlib")),
        created_at=now(),
    )
    write_report(folder, "energy", report, figures)
