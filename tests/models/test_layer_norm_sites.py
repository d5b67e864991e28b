"""Which sites lie in the hyperplane of a LayerNorm: by what the models compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from service.contracts.families import IN_FOLDERS
from service.contracts.sites import Site, parse_site
from service.theory.radius import report_theory
from tests.models.families import make_model
from tests.models.openelm_configs import TINY
from workers.models.interface import HookedModel
from workers.models.layer_norm import is_layer_norm_output
from workers.models.loading import load_model
from workers.models.openelm import OpenELM
from workers.models.sentence_decoder import SentenceDecoder, SentenceDecoderConfig

HOOKS = ("resid_pre", "attn_out", "mlp_out", "resid_mid", "resid_post")
SITES = [*(f"blocks.{layer}.hook_{hook}" for layer in range(2) for hook in HOOKS), "final_norm_out"]


def in_a_hyperplane(model: HookedModel, sites: list[Site]) -> list[bool]:
    """Whether many more vectors than dimensions have a rank below the dimension about their mean."""
    tokens = torch.arange(64 * 8).reshape(64, 8) * 37 % model.sizes.d_vocab
    read = model.read(tokens, sites)
    rows = [read[site].double().flatten(0, 1) for site in sites]
    ranks = [int(torch.linalg.matrix_rank(part - part.mean(dim=0), rtol=1e-5)) for part in rows]
    return [rank < model.sizes.d_model for rank in ranks]


def in_a_folder(family: str, root: Path) -> tuple[HookedModel, dict[str, object]]:
    make_model(family, 0, root / "model")
    loaded = load_model("model", None, root, torch.device("cpu"), "float32")
    return loaded.model, loaded.identity["config"]


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "opt", "olmo2", "sentence_decoder", "openelm"])
def test_the_sites_of_a_layer_norm_are_those_in_a_hyperplane(family: str, tmp_path: Path):
    torch.manual_seed(0)
    config: dict[str, object] = {"family": family}
    if family in IN_FOLDERS:
        model, config = in_a_folder(family, tmp_path)
    elif family == "openelm":
        model = OpenELM(replace(TINY, query_heads=(4, 4), kv_heads=(4, 4)))
    else:
        model = SentenceDecoder(SentenceDecoderConfig(n_layers=2, d_model=16, n_heads=2, d_mlp=32))
    parallel = family == "gpt_neox"  # has no resid_mid
    sites = [parse_site(name, model.sizes.n_layers) for name in SITES if not (parallel and "resid_mid" in name)]
    named = [is_layer_norm_output(str(site), site.layer, config) for site in sites]
    assert named == in_a_hyperplane(model, sites)


def test_the_sentence_is_beside_the_theory_of_these_sites_only():
    assert report_theory(1024, 100, 256)["plane"] is None
    found = report_theory(1024, 100, 256, layer_norm=True)["plane"]
    assert found["dimension"] == 1023
    assert "volume in R^1024 is 0" in found["note"]
