"""Appendix E's counts, the true counts of GPT-2, and those of OpenELM."""

from __future__ import annotations

import pytest

from service.errors import InvalidInput
from service.theory.openelm_size import OPENELM, OpenELMSizes, openelm_size
from service.theory.transformer_size import (
    GPT2,
    Gpt2Config,
    gpt2_size,
    gpt2_size_theory,
    model_names,
    printed_gpt2_size,
    transformer_size_theory,
)
from tests.models.openelm_scaling import scaled_sizes

TRUE = {
    "gpt2": (85_054_464, 124_439_808, "12.0169"),
    "gpt2-medium": (302_309_376, 354_823_168, "12.0127"),
    "gpt2-large": (708_387_840, 774_030_080, "12.0102"),
    "gpt2-xl": (1_475_558_400, 1_557_611_200, "12.0081"),
}


def test_appendix_e_is_reproduced():
    found = printed_gpt2_size(GPT2["gpt2-medium"])
    assert (found.attention, found.dense, found.feed_forward) == (75_497_472, 25_214_976, 151_093_248)
    assert (found.total, f"{found.A:.4f}") == (251_805_696, "10.0059")


@pytest.mark.parametrize("name", TRUE)
def test_the_true_counts_are_the_released_models(name: str):
    found = gpt2_size(GPT2[name])
    assert (found.blocks, found.total, f"{found.A:.4f}") == TRUE[name]
    answer = transformer_size_theory(name)
    assert set(answer["paper_literal"]) == {"attention", "dense", "feed_forward", "total", "A"}
    assert answer["corrected"] == {"blocks": found.blocks, "total": found.total, "A": found.A}


def test_a_block_of_gpt2_medium():
    assert gpt2_size(Gpt2Config(1, 1024)).blocks == 12_596_224


@pytest.mark.parametrize(("n_layers", "d_model", "d_mlp"), [(1, 1, None), (3, 8, 20), (48, 1600, None), (2, 512, 512)])
def test_the_count_is_the_sum_over_the_weights(n_layers: int, d_model: int, d_mlp: int | None):
    width = d_mlp or 4 * d_model
    shapes = [(d_model,)] * 4 + [(d_model, 3 * d_model), (3 * d_model,), (d_model, d_model), (d_model,)]
    shapes += [(d_model, width), (width,), (width, d_model), (d_model,)]
    weights = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    found = gpt2_size(Gpt2Config(n_layers, d_model, n_ctx=7, d_vocab=11, d_mlp=d_mlp))
    assert found.blocks == n_layers * weights
    assert found.total == n_layers * weights + 18 * d_model + 2 * d_model


@pytest.mark.parametrize(
    ("d_model", "n_layers", "d_head", "total"),
    [(1280, 16, 64, 271_527_168), (1536, 20, 64, 457_179_136), (2048, 28, 64, 1_079_891_456),
     (3072, 36, 128, 3_036_647_424)],
)  # fmt: skip
def test_the_rule_gives_the_published_openelms(d_model: int, n_layers: int, d_head: int, total: int):
    assert openelm_size(scaled_sizes(d_model, n_layers, d_head=d_head)).total == total


@pytest.mark.parametrize(("name", "exact"), [("m1", 39_947_866), ("m2", 60_257_472), ("m3", 80_204_704)])
def test_the_reconstructed_openelms_print_the_papers_n(name: str, exact: int):
    printed = OPENELM[f"openelm-{name}"]
    assert openelm_size(printed.config).transformer == exact
    assert abs(exact - printed.parameters) <= 5_000


@pytest.mark.parametrize(("name", "literal", "corrected"), [("m1", "5.487", "5.487"), ("m2", "4.597", "5.094"),
                                                            ("m3", "4.835", "4.835")])  # fmt: skip
def test_the_constant_of_eq_2_is_none(name: str, literal: str, corrected: str):
    answer = transformer_size_theory(f"openelm-{name}")
    assert (f"{answer['paper_literal']['A']:.3f}", f"{answer['corrected']['A']:.3f}") == (literal, corrected)
    assert answer["paper_literal"]["attention"] is None
    assert any("1216" in note for note in answer["notes"]) == (name == "m2")


@pytest.mark.parametrize(("name", "millions"), [("m1", "59.73"), ("m2", "104.72"), ("m3", "129.97")])
def test_openelms_own_multipliers_do_not_give_the_papers_n(name: str, millions: str):
    printed = OPENELM[f"openelm-{name}"]
    widths = scaled_sizes(printed.d_model, 8).d_mlp
    config = OpenELMSizes(printed.d_model, printed.config.query_heads, printed.config.kv_heads, widths)
    assert f"{openelm_size(config).transformer / 1e6:.2f}" == millions


@pytest.mark.parametrize("name", ["", "gpt3", "GPT2", "openelm-m4", "x\n"])
def test_an_unknown_model_is_refused_with_those_that_are_known(name: str):
    with pytest.raises(InvalidInput, match="model must be one of gpt2, gpt2-medium") as caught:
        transformer_size_theory(name)
    assert caught.value.field == "model"
    assert name == "" or name not in caught.value.detail.split(", ")


def test_every_name_has_an_answer():
    for name in model_names():
        assert transformer_size_theory(name)["notes"]
    assert gpt2_size_theory(Gpt2Config(24, 1024)) == transformer_size_theory("gpt2-medium")


@pytest.mark.parametrize(("field", "sizes"), [("n_layers", (0, 8)), ("d_model", (2, 0)), ("n_ctx", (2, 8, 0)),
                                              ("d_vocab", (2, 8, 8, -1)), ("d_mlp", (2, 8, 8, 8, 0))])  # fmt: skip
def test_sizes_out_of_range_are_refused_and_named(field: str, sizes: tuple[int, ...]):
    with pytest.raises(InvalidInput, match=f"^{field} must be from 1 to .*, not ") as caught:
        Gpt2Config(*sizes)
    assert caught.value.field == field


@pytest.mark.parametrize(("field", "heads", "pairs", "widths"), [("n_layers", (), (), ()), ("kv_heads", (2,), (), (8,)),
                                                                 ("d_mlp", (2, 2), (1, 1), (8,))])  # fmt: skip
def test_lists_of_different_lengths_are_refused(field: str, heads: tuple, pairs: tuple, widths: tuple):
    with pytest.raises(InvalidInput) as caught:
        OpenELMSizes(64, heads, pairs, widths)
    assert caught.value.field == field
