"""TransformerLens gives the same vectors under the names that we say are its own, where its weights are not processed.

Not collected where TransformerLens is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from service.contracts.sites import Site
from tests.models.families import LAYERS
from tests.models.test_families import CASES, TOLERANCE, Case, deviation

# What the library itself does not do, and Hugging Face and we do (`test_families`).
_NOT_THERE = {
    ("gpt2", 1): "its attention scales scores although the configuration has scale_attn_weights: false",
    ("gpt_neox", 1): "it needs the bias of an attention that the configuration says has none",
}


_MARKS: dict[Any, list[pytest.MarkDecorator]] = {
    of: [pytest.mark.xfail(reason=reason, strict=True)] for of, reason in _NOT_THERE.items()
}
_CASES = [
    pytest.param(each.values[0], id=each.id, marks=[*each.marks, *_MARKS.get(each.values[0], [])]) for each in CASES
]


@pytest.fixture(scope="module", params=_CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    family, at = request.param
    return Case(family, at, tmp_path_factory.mktemp(f"lens-{family}-{at}"))


def read_with_lens(folder: Path, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """(B, T, D) at every hook of TransformerLens, by name; its default is weights without processing."""
    from transformer_lens.model_bridge import TransformerBridge  # pyright: ignore[reportMissingImports]

    model = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    with torch.inference_mode():
        return dict(model.run_with_cache(tokens)[1].items())


@pytest.mark.filterwarnings("ignore")  # of a library that the project does not choose
def test_names_of_transformer_lens_are_the_same_vectors(case: Case):
    theirs = read_with_lens(case.root / "tiny", case.tokens)
    ours = case.loaded.model.read(case.tokens, case.sites)
    gaps: dict[Site, float] = {}
    for site in case.sites:
        names = case.config.site_names.names(site)
        known = [name for name in names["transformer_lens_new"] if name in theirs]
        assert known or site.hook == "resid_mid", names  # some of its blocks have no hook there
        for name in [*known, *(name for name in names["transformer_lens_old"] if name in theirs)]:
            gaps[site] = max(gaps.get(site, 0.0), deviation(ours[site], theirs[name]))
    print(case.family, {hook: f"{max(gaps[s] for s in gaps if s.hook == hook):.1e}" for hook in {s.hook for s in gaps}})
    assert len({site.layer for site in gaps}) == LAYERS + 1
    assert max(gaps.values()) <= TOLERANCE, gaps
