"""What a report's provenance says of its search keeps the form of stored reports."""

from __future__ import annotations

import pytest
import torch

from workers.devices.device import describe_device
from workers.flows.radius.account import PartsAccount, SearchAccount
from workers.neighbors.faiss_search import FaissWork
from workers.neighbors.formats import FormatTrial
from workers.neighbors.task import SearchWork

CPU = torch.device("cpu")
EXACT = SearchWork("bfloat16", 128, False, [FormatTrial("bfloat16", 0.5, 1.5, 3.0)], 600, 50, 40, 0, 1, 2)
STORED = {
    "format": "bfloat16",
    "tile": 128,
    "fused": False,
    "trials": [{"format": "bfloat16", "seconds_per_gigapair": 0.5, "candidates_per_row": 1.5, "predicted_s": 3.0}],
    "slot_pairs": 600,
    "candidates": 50,
    "settled": 40,
    "duplicates": 0,
    "float64_rows": 1,
    "float32_rows": 2,
    "engine_asked": "auto",
    "resident": True,
    "on": describe_device(CPU),
}


@pytest.mark.parametrize(("reason", "stored"), [("", {}), ("no Triton", {"kernel": "no Triton"})])
def test_of_one_worker(reason: str, stored: dict[str, str]):
    assert SearchAccount(EXACT, "auto", True, CPU, reason).as_stored() == STORED | stored


def test_of_faiss():
    told = SearchAccount(FaissWork(rescored=7, lifted=2), "faiss-flat", False, CPU).as_stored()
    about = {"engine_asked": "faiss-flat", "resident": False, "on": describe_device(CPU)}
    assert told == {"rescored": 7, "lifted": 2} | about


def test_of_parts():
    parts = PartsAccount(
        search=3, count=0, settle=2, format=["bfloat16"], device=["cpu"], worker=["compute-a", "compute-b"]
    )
    stored = {"search": 3, "count": 0, "settle": 2, "format": ["bfloat16"], "device": ["cpu"]}
    stored |= {"worker": ["compute-a", "compute-b"]}
    assert SearchAccount(EXACT, "auto", True, CPU, parts=parts).as_stored() == STORED | {"kernel": "", "parts": stored}
