"""Runs of Question-Formation over REST and on the command line: losses, shares, and which rule every seed learned."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from service.catalog import sweeps, training
from service.commands.output import console
from service.commands.sweeps import print_sweep
from service.commands.training import print_training_run
from service.contracts.base import now
from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow, TrainingRun
from tests.api.products import insert_job
from tests.api.support import catalog_of

# By seed: (step, val_loss, i.i.d., withheld, move-first), an evaluation each; seed 2 was not evaluated yet.
EVALUATIONS = {
    0: [(250, 1.2, 0.7, 0.1, 0), (500, 1.1, 1.0, 0.995, 0.0), (750, 1.0, 1.0, 0.99, 0.0), (1000, 0.99, 1.0, 0.6, 0.4)],
    1: [(500, 1.1, 0.9, 0.02, 0.98), (1000, 0.998, 1.0, 0.0, 1.0)],
    2: [],
}  # fmt: skip


def logged(step: int, val_loss: float | None, details: dict[str, float]) -> MetricsRow:
    return MetricsRow(step=step, tokens=step, train_loss=1.0, val_loss=val_loss, lr=0.1, grad_norm=1.0, details=details)


@pytest.fixture
def sweep(api: TestClient) -> str:
    cells = [
        {"run": f"run-{seed}", "model": "question_formation", "tokens": None, "seed": seed} for seed in EVALUATIONS
    ]
    base: dict[str, Any] = {
        "job": insert_job(catalog_of(api), {}, "sweep"),
        "experiment": "question_formation",
        "spec": {},
        "notes": [],
        "created_at": now(),
    }
    empty: dict[str, Any] = {
        name: {} for name in ("reference_lines", "data", "losses", "evaluation", "timing", "provenance")
    }
    run = {"step": 1_000, "steps": 1_000, "tokens": 0, "warnings": [], "parameters": {"without_embeddings": 7}}
    with catalog_of(api).begin() as connection:
        sweeps.register(connection, base | {"id": "sweep-0", "name": "seeds", "cells": cells})
        for seed, evaluations in EVALUATIONS.items():
            training.register(connection, base | empty | run | {"id": f"run-{seed}", "name": f"seed {seed}"})
            rows = [logged(125, None, {})]
            for step, loss, iid, withheld, first in evaluations:
                shares = {"val_first_auxiliary": iid, "gen_first_word": withheld, "gen_move_first": first}
                rows.append(logged(step, loss, {"val_output": 0.1, **shares}))
            training.record(connection, f"run-{seed}", rows)
    return "sweep-0"


def test_every_seed_has_its_newest_and_its_best_shares(api: TestClient, sweep: str):
    found = api.get(f"/v1/sweeps/{sweep}").json()["seeds"]
    assert [seed.pop("run") for seed in found] == ["run-0", "run-1", "run-2"]
    same = {"model": "question_formation"}
    assert found == [
        same | {"seed": 0, "step": 1000, "val_loss": 0.99, "val_first_auxiliary": 1.0, "gen_first_word": 0.6,
                "gen_move_first": 0.4, "best_gen_first_word": 0.995, "generalised_at": 500},
        same | {"seed": 1, "step": 1000, "val_loss": 0.998, "val_first_auxiliary": 1.0, "gen_first_word": 0.0,
                "gen_move_first": 1.0, "best_gen_first_word": 0.02, "generalised_at": None},
        same | {"seed": 2, "step": None, "val_loss": None, "val_first_auxiliary": None, "gen_first_word": None,
                "gen_move_first": None, "best_gen_first_word": None, "generalised_at": None},
    ]  # fmt: skip


def test_the_report_shows_them(api: TestClient, sweep: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "width", 120)
    with console.capture() as captured:
        print_sweep(Sweep.model_validate(api.get(f"/v1/sweeps/{sweep}").json()))
    lines = [line.split() for line in captured.get().splitlines() if "seed" in line]
    assert [line[2:] for line in lines if line[0] == "seed"] == [
        ["1,000", "0.9900", "100.0%", "60.0%", "99.5%", "40.0%", "500"],
        ["1,000", "0.9980", "100.0%", "0.0%", "2.0%", "100.0%", "–"],
        ["–"] * 7,
    ]


@pytest.mark.parametrize(
    ("loss", "heads"), [("line", {"nats per target"}), ("sum", {"nats per line", "nats per target"})]
)
def test_the_report_of_a_run_has_no_share_among_its_nats(api: TestClient, sweep: str, loss: str, heads: set[str]):
    assert sweep
    losses = {
        "train_loss": 1.25,
        "val_loss": 1.125,
        "val_output": 0.5,
        "val_first_auxiliary": 0.75,
        "gen_first_word": 0.25,
    }
    with catalog_of(api).begin() as connection:
        training.record(connection, "run-0", [], losses=losses, spec={"loss": loss}, reference_lines={"unit": 1.0})
    with console.capture() as captured:
        print_training_run(TrainingRun.model_validate(api.get("/v1/training/run-0").json()))
    lines = [line.strip() for line in captured.get().splitlines()]
    under, head = dict[str, str](), ""
    for line in lines[1:]:
        head = line if line.startswith(("nats", "share")) else head
        under[line.split()[0]] = f"{head}: {line.split()[-1]}"
    assert {line for line in lines if line.startswith("nats")} == heads
    whole = "nats per line" if loss == "sum" else "nats per target"
    assert (under["train_loss"], under["val_loss"], under["unit"]) == (
        f"{whole}: 1.2500", f"{whole}: 1.1250", f"{whole}: 1.0000",
    )  # fmt: skip
    assert under["val_output"] == "nats per target: 0.5000"
    assert under["val_first_auxiliary"] == "share of lines: 75.0%"
    assert under["gen_first_word"] == "share of lines: 25.0%"
