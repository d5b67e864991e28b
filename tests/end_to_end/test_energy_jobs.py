"""Energy jobs by real processes: layers of a model, held-out points, Fig. 1, and the command line over them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service.client import Finished
from service.theory import energy
from tests.end_to_end.conftest import ANALYSIS, Running

pytestmark = pytest.mark.long

LAYERS = ["blocks.0.hook_resid_pre", *(f"blocks.{block}.hook_resid_post" for block in range(3))]


def command(service: Running, *arguments: str) -> str:
    run = [sys.executable, "-m", "service.cli", *arguments, "--url", service.url]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def descent(service: Running) -> Finished:
    """All layers of the tiny model, as one report."""
    spec = ANALYSIS | {"sites": LAYERS, "radius": None, "energy": {"layers": "together", "beta": [0.5, 1.0]}}
    return service.run("analysis", spec)


def test_an_analysis_measures_every_block(service: Running, descent: Finished):
    assert descent.reports == []
    (report_id,) = descent.energies
    report = service.client.energy(report_id)
    assert [layer.site for layer in report.layers] == LAYERS
    assert report.activations == descent.activations
    assert report.descent is not None
    assert [block.site for block in report.descent.blocks] == LAYERS[1:]
    assert report.descent.patterns + report.descent.points == report.points == report.layers[0].n
    assert report.energy_global is not None
    assert report.energy_global.corrected.failed_share == 0
    assert descent.job.progress.done == descent.job.progress.total
    assert service.client.figure(report_id, "svg").startswith(b"<?xml")


def test_the_move_of_a_block_is_what_the_activations_say(service: Running, descent: Finished):
    report = service.client.energy(descent.energies[0])
    first, second = (service.client.vectors(set_id).astype(np.float64) for set_id in descent.activations[:2])
    assert report.descent is not None
    whole = np.square(second - first).sum(axis=1)
    block = report.descent.blocks[0]
    assert whole.min() <= block.step_sq.min <= block.step_sq.mean <= whole.max()
    assert block.reachable <= block.g_before


def test_one_set_by_itself_and_held_out_points(service: Running, analysis: Finished):
    first, second = analysis.activations
    rows = service.client.vectors(first).astype(np.float64)
    alone = service.client.energy(service.run("energy", {"activations": [first], "sample": 50}).energies[0])
    assert (alone.points, alone.layers[0].left_out, alone.layers[0].patterns) == (50, "self", len(rows) - 1)
    other = service.client.energy(service.run("energy", {"activations": [first], "queries": second}).energies[0])
    points = service.client.vectors(second).astype(np.float64)
    g, _ = energy.nearest(rows, points)
    layer = other.layers[0]
    assert layer.g.distribution.mean == pytest.approx(g.mean(), rel=1e-9)
    true = energy.energy(rows, points)
    assert layer.energies[0].energy.distribution.mean == pytest.approx(true.mean(), rel=1e-6)
    assert layer.bounds.corrected.proposition_3.failed_share == 0


def test_the_preset_of_fig_1(service: Running):
    done = service.run("energy", {"preset": "paper/figure1"})
    report = service.client.energy(done.energies[0])
    assert report.figure1 is not None
    assert len(report.figure1.corrected.two_dimensions.landscapes[0].minima) == 3
    assert service.client.figure(report.id).startswith(b"\x89PNG")


def test_the_command_line_shows_energies_and_answers_questions(service: Running, descent: Finished, tmp_path: Path):
    printed = command(service, "report", descent.energies[0], "--figure", str(tmp_path / "f.png"))
    assert "eq. (6)" in printed
    assert "E_global (7)" in printed
    assert (tmp_path / "f.png").stat().st_size > 10_000
    set_id = descent.activations[-1]
    assert "E_MCHN" in command(service, "query", set_id, "Python is a language", "--k", "2")
    np.save(tmp_path / "rows.npy", service.client.vectors(set_id)[:2])
    answer = json.loads(command(service, "query", set_id, "--vectors", str(tmp_path / "rows.npy"), "--json"))
    assert [result["nn_distance"] for result in answer["results"]] == [0.0, 0.0]
