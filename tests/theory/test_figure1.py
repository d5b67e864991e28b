"""Fig. 1: where the minima are, and that the figure is drawn the same every time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.cli import app
from service.theory.figure1 import figure1_theory
from workers.figures.figure1 import draw_figure1

FOUND = figure1_theory()["corrected"]
ONE = {("energy", 1.0): [-1.956949, 0.493619], ("energy_mchn", 1.0): [-1.952212], ("energy_mchn", 2.0): [-1.999309, 0.820464]}  # fmt: skip # noqa: E501
TWO = {("energy", 1.0): [(-1.98205, -0.49837), (0.19253, -0.28844), (1.48994, 1.48607)]}


def landscapes(name: str) -> dict:
    return {(part["energy"], part["beta"]): part for part in FOUND[name]["landscapes"]}


@pytest.mark.parametrize(("landscape", "minima"), ONE.items())
def test_minima_in_one_dimension(landscape: tuple[str, float], minima: list[float]):
    np.testing.assert_allclose(np.ravel(landscapes("one_dimension")[landscape]["minima"]), minima, atol=5e-7)


def test_minima_in_two_dimensions():
    found = landscapes("two_dimensions")
    np.testing.assert_allclose(found["energy", 1.0]["minima"], TWO["energy", 1.0], atol=5e-6)
    for beta in (1.0, 2.0):
        lost = np.array(found["energy_mchn", beta]["minima"])
        assert len(lost) == 2
        assert np.linalg.norm(lost - [0.2, -0.3], axis=1).min() > 1


def test_no_energy_is_convex():
    assert all(part["smallest_curvature"] < 0 for name in FOUND for part in FOUND[name]["landscapes"])
    assert landscapes("one_dimension")["energy_mchn", 2.0]["smallest_curvature"] == pytest.approx(-2.25, abs=0.01)


def test_rest(api: TestClient):
    answer = api.get("/v1/theory/figure1")
    assert answer.status_code == 200
    assert answer.json()["corrected"] == FOUND


def test_drawn_twice_it_is_the_same_file(tmp_path: Path):
    first, second = draw_figure1(tmp_path / "a"), draw_figure1(tmp_path / "b")
    assert [path.suffix for path in first] == [".png", ".svg", ".pdf"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    header = first[0].read_bytes()[16:20]
    assert int.from_bytes(header, "big") >= 1200  # pixels wide


def test_command(tmp_path: Path):
    command = [sys.executable, "-m", "service.cli", "theory", "figure1", "--out", str(tmp_path / "f.svg")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "0.493618759" in printed
    assert (tmp_path / "f.svg").read_bytes().startswith(b"<?xml")
    assert CliRunner().invoke(app, ["theory", "figure1", "--out", "f.jpg"]).exit_code != 0
