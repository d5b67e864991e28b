"""Fig. 1: where the minima are, and that the figure is drawn the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.theory.figure1 import figure1_theory
from workers.figures.figure1 import draw_figure1

FOUND = figure1_theory()["corrected"]
E, MCHN_1, MCHN_2 = ("energy", 1.0), ("energy_mchn", 1.0), ("energy_mchn", 2.0)
ONE = {E: [-1.956949, 0.493619], MCHN_1: [-1.952212], MCHN_2: [-1.999309, 0.820464]}
TWO = {
    E: [(-1.98205, -0.49837), (0.19253, -0.28844), (1.48994, 1.48607)],
    MCHN_1: [(-1.97308, -0.49694), (1.48606, 1.48150)],
    MCHN_2: [(-1.99973, -0.49998), (1.49988, 1.49984)],
}
LEAST = {  # by a simplex search from the best of 22,500 points
    "two_dimensions": {E: -11.750293, MCHN_1: -2.923005, MCHN_2: -7.104483},
    "one_dimension": {E: -2.283419, MCHN_1: -0.623381, MCHN_2: -2.246761},
}


def landscapes(name: str) -> dict:
    return {(part["energy"], part["beta"]): part for part in FOUND[name]["landscapes"]}


@pytest.mark.parametrize(("landscape", "minima"), ONE.items())
def test_minima_in_one_dimension(landscape: tuple[str, float], minima: list[float]):
    np.testing.assert_allclose(np.ravel(landscapes("one_dimension")[landscape]["minima"]), minima, atol=5e-7)


@pytest.mark.parametrize(("landscape", "minima"), TWO.items())
def test_minima_in_two_dimensions(landscape: tuple[str, float], minima: list[tuple[float, float]]):
    np.testing.assert_allclose(landscapes("two_dimensions")[landscape]["minima"], minima, atol=5e-6)


@pytest.mark.parametrize("name", LEAST)
def test_no_energy_is_convex(name: str):
    found = {landscape: part["smallest_curvature"] for landscape, part in landscapes(name).items()}
    assert found == pytest.approx(LEAST[name], abs=5e-7)
    assert max(found.values()) < 0


def test_the_constants_of_the_bounds():
    assert [FOUND[name]["spread"] for name in LEAST] == pytest.approx([4.37, 4.0])
    assert [FOUND[name]["log_patterns"] for name in LEAST] == pytest.approx([1.098612] * 2, abs=5e-7)


def test_rest(api: TestClient):
    answer = api.get("/v1/theory/figure1")
    assert answer.status_code == 200
    assert answer.json()["corrected"] == FOUND


def run(*command: str, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command, "--out", str(out)], capture_output=True, text=True)


@pytest.mark.long
def test_the_command_prints_the_minima_and_draws_what_another_process_draws(tmp_path: Path):
    done = run("service.cli", "theory", "figure1", out=tmp_path / "f.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert "-1.95694921, 0.493618759" in done.stdout
    drawn = draw_figure1(tmp_path / "again")
    assert [path.suffix for path in drawn] == [".png", ".svg", ".pdf"]
    assert (tmp_path / "f.svg").read_bytes() == drawn[1].read_bytes()
    header = drawn[0].read_bytes()[16:20]
    assert int.from_bytes(header, "big") >= 1200  # pixels wide


@pytest.mark.long
def test_drawn_twice_it_is_the_same_file(tmp_path: Path):
    first, second = draw_figure1(tmp_path / "a"), draw_figure1(tmp_path / "b")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.long
def test_with_json_nothing_else_is_printed(tmp_path: Path):
    done = run("service.cli", "theory", "figure1", "--json", out=tmp_path / "f.svg")
    assert json.loads(done.stdout) == figure1_theory()
    assert (tmp_path / "f.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.long
def test_a_file_that_cannot_be_written_is_named_without_a_trace(tmp_path: Path):
    done = run("service.cli", "theory", "figure1", out=tmp_path / "none" / "f.svg")
    assert done.returncode == 1
    assert "none/f.svg" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_refuses_another_ending(tmp_path: Path):
    done = run("workers.figures.figure1", out=tmp_path / "f.jpg")
    assert done.returncode == 2
    assert ".png, .svg or .pdf" in done.stderr
