"""The presets, and how a spec is read: by kind, with a preset's values under the given ones."""

from __future__ import annotations

from typing import Any

from service.contracts.energy import EnergySpec
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import AnalysisSpec, JobKind, JobSpec, Preset
from service.contracts.radius import RadiusSpec
from service.contracts.reading import read_contract
from service.contracts.sweep_presets import SWEEP_PRESETS
from service.contracts.sweeps import SweepSpec
from service.contracts.training import EXPERIMENTS, PUBLISHED_LINES, QuestionFormationSpec, TrainingSpec
from service.contracts.training_presets import TRAINING_PRESETS
from service.errors import InvalidInput, NotAvailable

DEMO_MODEL = "demo-gpt2"
_SITES = ["blocks.-1.hook_resid_post", "final_norm_out"]
_READING = '"activations of the last layer" is read both before and after the final norm: two sites'

_DESCENT = "Does a block do a nearest-neighbour search (eq. 6)? All layers of the residual stream"

PRESETS: tuple[Preset, ...] = (
    Preset(
        id="paper/f1",
        kind="analysis",
        title="Appendix F.1: GPT-2 medium on OpenWebText, 80,000 chunks of 256 tokens",
        spec={
            "model": "openai-community/gpt2-medium",
            "corpus": "openwebtext",
            "sites": _SITES,
            "chunk_tokens": 256,
            "chunks": 80_000,
            "chunks_per_document": 1,
            "position": "last",
            "seed": 0,
            "dtype": "float32",
            "radius": {"fractions": [0.25, 0.5, 0.75, 1.0], "exclude": "self"},
        },
        stated=[
            "GPT-2 medium, OpenWebText, 80K chunks of 256 tokens, position of the next-token prediction",
            "L2 distance to the nearest neighbour at 25, 50, 75 and 100 % of the sample",
        ],
        assumed=[
            _READING,
            "one chunk per document, chosen by a seeded hash (80K chunks are given as about 1 % of the documents)",
            "register OpenWebText (a data set or local files) as a corpus named openwebtext",
            "section 5.3 says 100K chunks; the quoted shares (0.2 % of tokens, 1 % of documents) fit 80K",
        ],
    ),
    Preset(
        id="small/f1",
        kind="analysis",
        title="The experiment of appendix F.1 at a size for two CPU cores: minutes",
        spec={
            "model": "openai-community/gpt2",
            "corpus": "python-docs",
            "sites": _SITES,
            "chunk_tokens": 64,
            "chunks": 2_000,
            "chunks_per_document": "all",
        },
        stated=["last position, nearest neighbour, nested fractions"],
        assumed=[_READING, "GPT-2 small, the Python language reference, 64-token chunks, all of a document"],
    ),
    Preset(
        id="smoke/f1",
        kind="analysis",
        title="The experiment of appendix F.1 in seconds, on the model that `radius demo` trains",
        spec={
            "model": DEMO_MODEL,
            "corpus": "python-docs",
            "sites": _SITES,
            "chunk_tokens": 32,
            "chunks": 256,
            "chunks_per_document": "all",
        },
        stated=["last position, nearest neighbour, nested fractions"],
        assumed=[_READING, "a GPT-2 of a few million parameters trained on the corpus itself"],
    ),
    Preset(
        id="small/descent",
        kind="analysis",
        title=f"{_DESCENT}, GPT-2 small: minutes on two CPU cores",
        spec={
            "model": "openai-community/gpt2",
            "corpus": "python-docs",
            "sites": ["blocks.0.hook_resid_pre", *(f"blocks.{block}.hook_resid_post" for block in range(12))],
            "chunk_tokens": 64,
            "chunks": 2_000,
            "chunks_per_document": "all",
            "radius": None,
            "energy": {"layers": "together", "beta": [1.0]},
        },
        stated=["each block minimises its layer's energy near its input, eq. (6)"],
        assumed=[
            "x_0 is the embedding, x_t the residual stream after block t, at the last token of a chunk",
            "patterns of a layer are activations of one half of the documents, points those of the other half",
        ],
    ),
    Preset(
        id="smoke/descent",
        kind="analysis",
        title=f"{_DESCENT}, of the model that `radius demo` trains: seconds",
        spec={
            "model": DEMO_MODEL,
            "corpus": "python-docs",
            "sites": ["blocks.0.hook_resid_pre", *(f"blocks.{block}.hook_resid_post" for block in range(4))],
            "chunk_tokens": 32,
            "chunks": 512,
            "chunks_per_document": "all",
            "radius": None,
            "energy": {"layers": "together", "beta": [1.0]},
        },
        stated=["each block minimises its layer's energy near its input, eq. (6)"],
        assumed=["as small/descent, on a GPT-2 of a few million parameters trained on the corpus itself"],
    ),
    Preset(
        id="paper/figure1",
        kind="energy",
        title="Fig. 1: energy landscapes of three patterns in two dimensions and in one",
        spec={"builtin": "figure1", "beta": [1.0, 2.0]},
        stated=["patterns (−2, −0.5), (0.2, −0.3), (1.5, 1.5); patterns −2, 0, 1; E, and E_MCHN at β = 1 and 2"],
        assumed=["the attractors are marked, which shows that the landscapes differ"],
    ),
    *TRAINING_PRESETS,
    *SWEEP_PRESETS,
)
_SPECS: dict[str, type[ExtractionSpec | RadiusSpec | EnergySpec | AnalysisSpec]] = {
    "extraction": ExtractionSpec,
    "radius": RadiusSpec,
    "energy": EnergySpec,
    "analysis": AnalysisSpec,
}


def find_preset(preset_id: str, field: str = "spec.preset") -> Preset:
    """The preset of that id; raises `InvalidInput` where there is none."""
    for preset in PRESETS:
        if preset.id == preset_id:
            return preset
    raise InvalidInput("no such preset; /v1/presets lists them", field=field)


def read_spec(kind: JobKind, given: dict[str, Any]) -> JobSpec:
    """The validated spec of a job of `kind`, defaults filled in, a preset's values under the given ones.

    Raises:
        NotAvailable: a kind or an option that this version does not serve.
        InvalidInput: an unknown preset, one of another kind, or a field that is wrong.
    """
    if kind == "training":
        return _read_training(given, "spec.")
    given = _over_preset(kind, given, "spec.")
    if kind == "sweep":
        return _read_sweep(given)
    spec = read_contract(_SPECS[kind], given, prefix="spec.")
    _refuse_unavailable(spec)
    return spec


def _over_preset(kind: JobKind, given: dict[str, Any], prefix: str) -> dict[str, Any]:
    """`given` over the values of the preset it names, if it names one."""
    if not isinstance(preset_id := given.get("preset"), str):
        return given
    preset = find_preset(preset_id, f"{prefix}preset")
    if preset.kind != kind:
        raise InvalidInput(f"this preset is for jobs of kind {preset.kind}", field=f"{prefix}preset")
    return merge(_without_lines(preset.spec, given), given)


def _without_lines(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A preset's numbers of generated lines say nothing where the lines come from a folder."""
    data = given.get("data")
    if not isinstance(data, dict) or data.get("folder") is None or "data" not in spec:
        return spec
    return spec | {"data": {name: value for name, value in spec["data"].items() if name not in PUBLISHED_LINES}}


def _read_training(given: dict[str, Any], prefix: str) -> TrainingSpec:
    given = _over_preset("training", given, prefix)
    experiment = given.get("experiment")
    if not isinstance(experiment, str) or experiment not in EXPERIMENTS:
        detail = "must be question_formation or openelm, or come from a preset"
        raise InvalidInput(detail, field=f"{prefix}experiment")
    return read_contract(EXPERIMENTS[experiment], given, prefix=prefix)


def _read_sweep(given: dict[str, Any]) -> SweepSpec:
    """The training that it names is read first, whole; then every run of the grid."""
    training = given.get("training")
    if not isinstance(training, dict):
        raise InvalidInput("must be an object: a training, or a preset of one", field="spec.training")
    base = _read_training(training, "spec.training.")
    if base.radius is not None:
        raise NotAvailable("the radius during training is measured in single runs only", field="spec.training.radius")
    if isinstance(base, QuestionFormationSpec) and base.data.seed is None:  # all runs learn the same lines
        base = base.model_copy(update={"data": base.data.model_copy(update={"seed": base.seed})})
    spec = read_contract(SweepSpec, given | {"training": base.model_dump(mode="json")}, prefix="spec.")
    for _ in spec.runs():  # raises for the first run that does not fit
        pass
    return spec


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`; objects within are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _refuse_unavailable(spec: JobSpec) -> None:
    if isinstance(spec, RadiusSpec) and spec.reference is not None:
        if spec.engine not in ("auto", "exact"):
            raise NotAvailable("another set is searched by the exact engine only", field="spec.engine")
        if spec.radii is not None:
            raise NotAvailable("pairs are counted within one set only", field="spec.radii")
