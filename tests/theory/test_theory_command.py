"""`radius theory …`: a table for people, the answer itself with --json, exit code 2 for what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from service.cli import main
from service.theory.balance import balance_theory
from service.theory.ball_bounds import balls_theory
from service.theory.figure1 import figure1_theory
from service.theory.hopfield_capacities import hopfield_capacities_theory
from service.theory.loss import inverse_loss_theory, loss_theory
from service.theory.loss_readings import loss_readings_theory
from service.theory.partition import partition_of_radii_theory, partition_theory
from service.theory.radius import radius_theory
from service.theory.reported_losses import reported_losses_theory
from service.theory.scaling_laws import scaling_laws_theory
from service.theory.stopping_table import stopping_table_theory
from service.theory.transformer_size import Gpt2Config, gpt2_size_theory, transformer_size_theory
from service.theory.unit_partition import unit_partition_theory

ANSWERS = {
    "radius --n 1024 --d 8013769": radius_theory(1024, 8_013_769),
    "radius --n 1024": radius_theory(1024, 80_000),
    "balls --n 16 --r 3": balls_theory(16, 3.0),
    "partition --n 1024 --d 80000 --r 10": partition_theory(1024, 80_000, 10.0),
    "unit-partition --n 1024 --d 80000": unit_partition_theory(1024, 80_000, None),
    "unit-partition --n 1024 --r 7.743": unit_partition_theory(1024, None, 7.743),
    "unit-partition --d 80000": unit_partition_theory(None, 80_000, None),
    "loss --log-partition -800": loss_theory(-800.0),
    "loss --loss 2.2": inverse_loss_theory(2.2),
    "loss-readings --n 64 --d 5 --r 2 --tokens 256": loss_readings_theory(64, 5, 2.0, 256),
    "scaling-laws --N 70e9 --D 1.4e12": scaling_laws_theory(70e9, 1.4e12),
    "transformer-size --model gpt2-medium": transformer_size_theory("gpt2-medium"),
    "transformer-size --model openelm-m2": transformer_size_theory("openelm-m2"),
    "transformer-size --n-layers 3 --d-model 24": gpt2_size_theory(Gpt2Config(3, 24)),
    "balance": balance_theory(1024, 80_000),
    "figure1": figure1_theory(),
    "table-1": hopfield_capacities_theory(),
    "table-2": reported_losses_theory(),
    "table-3 --threshold 0.05 --no-strict": stopping_table_theory(0.05, strict=False),
}
REFUSED = {
    "radius --n 0": "n must be",
    "balls --n 3 --r 0": "r must be",
    "balls --n 3 --r nan": "r must be",
    "partition --n 3": "--radii",
    "partition --n 3 --d 2 --r 1 --radii x.npy": "--radii",
    "partition --n 3 --radii /nowhere.npy": "--radii",
    "unit-partition": "give n and d",
    "unit-partition --n 3 --r 9": "r must be at most",
    "loss": "--loss",
    "loss --loss 0.5": "loss must be",
    "loss --loss 2 --log-partition 1": "--loss",
    "scaling-laws --N 0 --D 1": "N must be",
    "transformer-size": "--model",
    "transformer-size --model gpt5": "model must be one of",
    "balance --d 2": "d must be",
    "table-3 --threshold 0": "threshold must be",
    "figure1 --out /nowhere/f.jpg": ".png, .svg or .pdf",
    "figure1 --out /nowhere/png": ".png, .svg or .pdf",
    "radius": "Missing option",
    "nonsense": "No such command",
}


def radius(monkeypatch: pytest.MonkeyPatch, arguments: str) -> int:
    """The exit code of `radius theory …`."""
    monkeypatch.setattr(sys, "argv", ["radius", "theory", *arguments.split()])
    try:
        main()
    except SystemExit as stopped:
        return int(str(stopped.code or 0))
    return 0


@pytest.mark.parametrize("arguments", ANSWERS)
def test_json_is_the_answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: str):
    assert radius(monkeypatch, f"{arguments} --json") == 0
    assert json.loads(capsys.readouterr().out) == ANSWERS[arguments]


@pytest.mark.parametrize("arguments", ANSWERS)
def test_the_table_shows_every_quantity_and_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: str
):
    monkeypatch.setattr("service.commands.output.console.width", 400)
    assert radius(monkeypatch, arguments) == 0
    out = capsys.readouterr().out
    answer = ANSWERS[arguments]
    for side in ("paper_literal", "corrected"):
        for name, value in answer[side].items():
            nested = isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))
            assert nested or name in out
    assert all(note in out for note in answer["notes"])


def test_radii_are_read_from_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    radii = np.array([1.0, 2.0, 0.0])
    np.save(tmp_path / "radii.npy", radii)
    assert radius(monkeypatch, f"partition --n 64 --radii {tmp_path / 'radii.npy'} --json") == 0
    assert json.loads(capsys.readouterr().out) == partition_of_radii_theory(64, radii)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY"])
def test_a_file_that_is_no_list_of_numbers_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, content: bytes
):
    (tmp_path / "radii.npy").write_bytes(content)
    assert radius(monkeypatch, f"partition --n 64 --radii {tmp_path / 'radii.npy'}") == 2
    assert "--radii" in capsys.readouterr().err


def test_texts_are_no_radii(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    np.save(tmp_path / "radii.npy", np.array(["a"]))
    assert radius(monkeypatch, f"partition --n 64 --radii {tmp_path / 'radii.npy'}") == 2
    assert "--radii" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_is_refused_exits_with_2_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: str
):
    assert radius(monkeypatch, arguments) == 2
    assert REFUSED[arguments] in " ".join(capsys.readouterr().err.split())
