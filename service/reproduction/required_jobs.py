"""The jobs that a reproduction requires, by part and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from service.contracts.claims import BY_ID, CLAIMS, ClaimDefinition, PartName, Scale
from service.contracts.jobs import JobKind
from service.contracts.presets import DEMO_MODEL
from service.contracts.reproduction import ReproductionSpec

PAPER_MODEL, PAPER_CORPUS, SMALL_CORPUS = "openai-community/gpt2-medium", "openwebtext", "python-docs"
_SITES = ["blocks.-1.hook_resid_post", "final_norm_out"]
_EXTRAPOLATE_TO = [8_013_769, 35_156_250]  # documents of OpenWebText; its tokens over 256
_MOST_POINTS = 10_000  # of an energy job at the paper's scale
_SAMPLES: dict[Scale, dict[str, Any]] = {
    "smoke": {"chunk_tokens": 32, "chunks": 400, "chunks_per_document": "all"},
    "small": {"chunk_tokens": 40, "chunks": 2_400, "chunks_per_document": "all"},
    "paper": {"chunk_tokens": 256, "chunks": 80_000, "chunks_per_document": 1},
}
_TRAININGS: dict[PartName, dict[Scale, str]] = {
    "questions": {"smoke": "smoke/f2", "small": "small/f2", "paper": "paper/f2-6l"},
    "questions_deep": {"paper": "paper/f2-10l"},
    "half_nouns": {"small": "small/f2-half-nouns", "paper": "small/f2-half-nouns"},
    "one_noun": {"small": "small/f2-one-noun", "paper": "small/f2-one-noun"},
    "few_lines": {"small": "small/f2-few-lines", "paper": "small/f2-few-lines"},
}
_SWEEPS: dict[PartName, dict[Scale, str]] = {
    "table3": {"smoke": "smoke/table3", "small": "small/table3", "paper": "paper/table3"},
    "seeds": {"small": "small/f3-seeds", "paper": "paper/f3-seeds"},
}


@dataclass(frozen=True)
class PartJob:
    """The job of one part: what a client would send to `POST /v1/jobs`."""

    part: PartName
    kind: JobKind
    spec: dict[str, Any]

    @property
    def preset(self) -> str | None:
        """The preset that the spec names."""
        return self.spec.get("preset")


def claims_of(spec: ReproductionSpec) -> list[ClaimDefinition]:
    """The claims asked for, in the order of the report."""
    return [claim for claim in CLAIMS if spec.claims is None or claim.id in spec.claims]


def model_of(spec: ReproductionSpec) -> str:
    """The model that is measured if the hub can be reached."""
    return spec.model or (PAPER_MODEL if spec.scale == "paper" else DEMO_MODEL)


def corpus_of(spec: ReproductionSpec) -> str:
    """The corpus whose text is sampled."""
    return spec.corpus or (PAPER_CORPUS if spec.scale == "paper" else SMALL_CORPUS)


def parts_of(spec: ReproductionSpec) -> list[PartName]:
    """The parts that the claims need at this scale, those of many claims and of short jobs first."""
    wanted = {part for claim in claims_of(spec) for part in claim.needs}
    return [part for part in get_args(PartName) if part in wanted and _exists(part, spec.scale)]


def needs_of(claim: str, spec: ReproductionSpec) -> list[PartName]:
    """The parts of a claim that there are at this scale."""
    return [part for part in BY_ID[claim].needs if _exists(part, spec.scale)]


def part_job(part: PartName, spec: ReproductionSpec, model: str, blocks: int | None = None) -> PartJob:
    """The job of a part.

    Args:
        model: the model that is measured.
        blocks: number of its blocks, for the descent; None where it is not known yet: all sites, at the same cost.
    """
    if part in _TRAININGS:
        return PartJob(part, "training", {"preset": _TRAININGS[part][spec.scale], "seed": spec.seed})
    if part in _SWEEPS:
        seeds = {} if part == "seeds" else {"seeds": [spec.seed]}
        return PartJob(part, "sweep", {"preset": _SWEEPS[part][spec.scale]} | seeds)
    shared = {"model": model, "corpus": corpus_of(spec), "seed": spec.seed} | _SAMPLES[spec.scale]
    energy: dict[str, Any] = {"beta": [1.0], "seed": spec.seed}
    if spec.scale == "paper":
        energy["sample"] = _MOST_POINTS
    if part == "descent":
        return PartJob(
            part,
            "analysis",
            shared | {"sites": _stream(blocks), "radius": None, "energy": energy | {"layers": "together"}},
        )
    radius = {"statistics": True, "extrapolate_to": _EXTRAPOLATE_TO, "seed": spec.seed}
    return PartJob(part, "analysis", shared | {"sites": _SITES, "radius": radius, "energy": energy})


def _stream(blocks: int | None) -> Sequence[str] | str:
    """The embedding, and the residual stream after every block."""
    if blocks is None:
        return "all"
    return ["blocks.0.hook_resid_pre", *(f"blocks.{block}.hook_resid_post" for block in range(blocks))]


def _exists(part: PartName, scale: Scale) -> bool:
    if part == "descent":
        return scale != "smoke"
    presets = _TRAININGS.get(part) or _SWEEPS.get(part)
    return presets is None or scale in presets
