"""The arithmetic of a forward pass of every family, against torch's own count and the library's own parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from service.contracts.families import IN_FOLDERS
from service.contracts.model_config import read_config
from service.contracts.sites import parse_site
from service.estimates.shapes import decoder_shape
from tests.models.families import LAYERS, make_model
from workers.models.loading import load_model

BATCH, LENGTH = 4, 16


@pytest.mark.parametrize("family", [name for name in IN_FOLDERS if name != "gpt2"])
def test_a_forward_pass_and_the_number_of_parameters(family: str, tmp_path: Path):
    """GPT-2 has a test of its own; torch's counter leaves a CPU's fused attention out."""
    make_model(family, 0, tmp_path / "tiny")
    model = load_model("tiny", None, tmp_path, torch.device("cpu"), "float32").model
    shape = decoder_shape(read_config((tmp_path / "tiny" / "config.json").read_bytes()))
    assert shape.parameters == pytest.approx(sum(p.numel() for p in model.model.parameters()), rel=0.03)
    with FlopCounterMode(display=False) as counter:
        model.read(torch.zeros(BATCH, LENGTH, dtype=torch.int64), [parse_site("final_norm_out", LAYERS)])
    attention = 0 if shape.scored_heads else 2 * BATCH * LENGTH * LENGTH * sum(shape.attention)
    expected = shape.forward_flops(BATCH * LENGTH, LENGTH) - attention
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-9)
