"""Requests of training jobs that are refused, and what is answered where nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from service.contracts.specs import read_spec
from service.contracts.sweeps import SweepSpec
from service.theory.stopping_table import TABLE_3
from tests.api.support import CANARY, problem_of

F2, F3 = "smoke/f2", "smoke/f3"


def refusal(client: TestClient, spec: dict[str, Any]) -> list[str]:
    answer = client.post("/v1/jobs", json={"kind": "training", "spec": spec})
    assert CANARY not in answer.text
    return [error["field"] for error in problem_of(answer, 422)["errors"]]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.experiment"),
        ({"experiment": CANARY}, "spec.experiment"),
        ({"preset": "smoke/f1"}, "spec.preset"),
        ({"preset": F2, "steps": 0}, "spec.steps"),
        ({"preset": F2, "data": {"lexicon": CANARY}}, "spec.data.lexicon"),
        ({"preset": F2, "data": {"folder": f"../{CANARY}"}}, "spec.data.folder"),
        ({"preset": F2, "model": {"n_heads": 3}}, "spec.model"),
        ({"preset": F2, "optimisation": {"peak_lr": -1.0}}, "spec.optimisation.peak_lr"),
        ({"preset": F2, "micro_batch": 10**6}, "spec"),
        ({"preset": F2, "keep": "all"}, "spec.keep"),
        ({"preset": F2, "keep": {"last": 0}}, "spec.keep.last"),
        ({"preset": F2, "keep": {"best": "yes"}}, "spec.keep.best"),
        ({"preset": F2, "keep": {CANARY: 3}}, "spec.keep"),
        ({"preset": F3, "data": {"corpus": CANARY}}, "spec.data.corpus"),
        ({"preset": F3, "data": {"tokenizer": f"/{CANARY}"}}, "spec.data.tokenizer"),
        ({"preset": F3, "model": {"kv_heads": [1]}}, "spec.model"),
        ({"preset": F3, "model": {"query_heads": [3, 2], "kv_heads": [2, 1]}}, "spec.model"),
    ],
)
def test_a_wrong_spec_names_its_field(refusing: TestClient, spec: dict[str, Any], field: str):
    assert refusal(refusing, spec) == [field]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.training"),
        ({"training": CANARY}, "spec.training"),
        ({"training": {"experiment": CANARY}}, "spec.training.experiment"),
        ({"training": {"preset": "smoke/f1"}}, "spec.training.preset"),
        ({"training": {"preset": F3, "steps": 0}}, "spec.training.steps"),
        ({"training": {"preset": F3, "data": {"corpus": CANARY}}}, "spec.training.data.corpus"),
        ({"training": {"preset": F3}, "tokens": [1]}, "spec.tokens.0"),
        ({"training": {"preset": F3}, "tokens": [5_000, 5_000]}, "spec"),
        ({"training": {"preset": F2}, "tokens": [5_000]}, "spec"),
        ({"training": {"preset": F3}, "seeds": []}, "spec.seeds"),
        ({"training": {"preset": F3}, "models": [{"name": "A", "model": {"d_head": 3}}]}, "spec.models.0.model"),
        ({"training": {"preset": F3}, "models": [{"name": "A", "model": {CANARY: 3}}]}, "spec.models.0.model"),
        ({"training": {"preset": F3}, "tokens": list(range(2, 66)), "seeds": list(range(64))}, "spec"),
        ({"preset": "small/table3", "sigma_sq": 0}, "spec.sigma_sq"),
    ],
)
def test_a_wrong_sweep_names_its_field(refusing: TestClient, spec: dict[str, Any], field: str):
    answer = refusing.post("/v1/jobs", json={"kind": "sweep", "spec": spec})
    assert CANARY not in answer.text
    assert [error["field"] for error in problem_of(answer, 422)["errors"]] == [field]


def test_the_papers_table_is_the_whole_grid():
    spec = read_spec("sweep", {"preset": "paper/table3"})
    assert isinstance(spec, SweepSpec)
    runs = list(spec.runs())
    assert len(runs) == 24
    assert {run.tokens for run in runs if run.model == "80M"} == {cell.tokens for row in TABLE_3 for cell in row.cells}


def test_a_run_that_is_not_there(refusing: TestClient):
    for path in ("", "/metrics", "/metrics.csv", "/metrics.parquet", "/figure.png"):
        problem_of(refusing.get(f"/v1/training/run-none{path}"), 404)
    for path in ("", "/figure.png"):
        problem_of(refusing.get(f"/v1/sweeps/sweep-none{path}"), 404)
    for noun in ("training", "sweeps"):
        assert refusing.get(f"/v1/{noun}").json() == {"data": [], "next": None}
