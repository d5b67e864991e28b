"""Presets of sweeps: Table 3, the five seeds of appendix G.2, and seeds of Question-Formation; whole and small."""

from __future__ import annotations

from typing import Any

from service.contracts.jobs import Preset
from service.contracts.sentence_presets import PAPER_ASSUMED as SENTENCES_ASSUMED
from service.contracts.sentence_presets import PAPER_STATED as SENTENCES_STATED
from service.contracts.training_presets import TRAINING_PRESETS
from service.contracts.window_presets import PAPER_ASSUMED, PAPER_STATED

_RULE = "Table 3: D* is the least D with MSE(L_train, least L_val) < 0.04"
_SIDES = "the window of the MSE is taken before and after the minimum, since 'proceeding' says neither"
_ONE_SEED = "one run per cell; how many the paper made is not stated"
_WHOLE_GRID = "every model at all eight D (the paper: four each), so that no column is chosen beforehand"
_SMALL_ASSUMED = [
    "the Python language reference, one token per byte",
    "paragraphs that stood before are left out; subjects still follow one another, so what a larger D adds decides the "
    "gap as much as how much it adds, as the unstated order of books does in the paper",
    "a batch is 1,024 tokens, so its loss varies: the variance in the MSE is not small beside the threshold",
    "1,200 steps at a constant 4e-3 after 50 of warm-up; windows of 200 steps",
]
_SMOKE_ASSUMED = [*_SMALL_ASSUMED[:3], "30 steps, windows of 10, two models, two D"]


def _training_preset(preset_id: str) -> Preset:
    return next(preset for preset in TRAINING_PRESETS if preset.id == preset_id)


def _training(preset_id: str) -> dict[str, Any]:
    return _training_preset(preset_id).spec


def _paper_model(size: str) -> dict[str, Any]:
    return {"name": size.upper(), "model": _training(f"paper/f3-{size}")["model"]}


def _small_model(name: str, d_model: int) -> dict[str, Any]:
    widths = {"query_heads": [2, 2], "kv_heads": [1, 1], "d_mlp": [2 * d_model] * 2}
    return {"name": name, "model": {"d_model": d_model, **widths}}


_TOKENS = [167_060_000, 190_380_000, 214_180_000, 237_980_000, 261_780_000, 285_570_000, 309_370_000, 333_170_000]
_SMALL: dict[str, Any] = _training("small/f3") | {
    "steps": 1_200,
    "batch": 16,
    "eval_every": 50,
    "checkpoint_every": None,
    "window_steps": 200,
    "data": _training("small/f3")["data"] | {"validation_windows": 400},
    "optimisation": _training("small/f3")["optimisation"] | {"peak_lr": 4e-3, "schedule": "constant"},
    "model": _small_model("", 32)["model"] | {"d_head": 16, "n_ctx": 64},
}
_SMALL_MODELS = [_small_model("S1", 32), _small_model("S2", 64), _small_model("S3", 96)]
_SMALL_TOKENS = [50_000, 75_000, 100_000, 125_000, 150_000, 200_000, 250_000, 300_000]
_SMOKE: dict[str, Any] = _SMALL | {"steps": 30, "eval_every": 10, "window_steps": 10}

SWEEP_PRESETS: tuple[Preset, ...] = (
    Preset(
        id="paper/table3",
        kind="sweep",
        title="Table 3: 40M, 60M and 80M parameters at eight sizes of data (GPU, days)",
        spec={
            "training": _training("paper/f3-40m"),
            "models": [_paper_model(size) for size in ("40m", "60m", "80m")],
            "tokens": _TOKENS,
        },
        stated=[
            f"{_RULE} over 1000 iterations at the minimum; three models",
            "eight sizes of data from 167.06M to 333.17M tokens",
            *PAPER_STATED,
        ],
        assumed=[
            _WHOLE_GRID,
            _SIDES,
            _ONE_SEED,
            "the models of paper/f3-40m, -60m and -80m, with what each assumes",
            *PAPER_ASSUMED,
        ],
    ),
    Preset(
        id="small/table3",
        kind="sweep",
        title="Table 3 at tiny scale: 24 runs on two CPU cores in about 15 minutes",
        spec={"training": _SMALL, "models": _SMALL_MODELS, "tokens": _SMALL_TOKENS},
        stated=[f"{_RULE}; three models"],
        assumed=[_WHOLE_GRID, _SIDES, _ONE_SEED, "models of 19,000 to 130,000 parameters", *_SMALL_ASSUMED],
    ),
    Preset(
        id="smoke/table3",
        kind="sweep",
        title="Table 3 in seconds: the machinery only",
        spec={"training": _SMOKE, "models": _SMALL_MODELS[:2], "tokens": [20_000, 40_000]},
        stated=[_RULE],
        assumed=[_SIDES, _ONE_SEED, *_SMOKE_ASSUMED],
    ),
    Preset(
        id="paper/f3-seeds",
        kind="sweep",
        title="Appendix G.2: the 40M model from five seeds (GPU)",
        spec={"training": _training("paper/f3-40m"), "seeds": [0, 1, 2, 3, 4]},
        stated=[
            "G.2: five runs of model 1; the least validation loss is the same to the second decimal, near step 6000",
            *PAPER_STATED,
        ],
        assumed=[
            "D = 214.18M tokens, the marked one; which D was used is not stated",
            "seeds 0 to 4, of the first weights, the windows and the dropout at once; the paper's are not stated",
            *PAPER_ASSUMED,
        ],
    ),
    Preset(
        id="small/f3-seeds",
        kind="sweep",
        title="Five seeds of one small OpenELM on two CPU cores",
        spec={"training": _SMALL | {"data": _SMALL["data"] | {"tokens": 100_000}}, "seeds": [0, 1, 2, 3, 4]},
        stated=["G.2: five runs of one model"],
        assumed=["D = 100,000 tokens, a model of 19,000 parameters", *_SMALL_ASSUMED],
    ),
    Preset(
        id="paper/f2-seeds",
        kind="sweep",
        title="Appendix F.2 from ten seeds, on the same lines: when does a run generalise? (GPU)",
        spec={"training": _training("paper/f2-6l"), "seeds": list(range(42, 142, 10))},
        stated=SENTENCES_STATED,
        assumed=[
            "seeds 42, 52, …, 132, those of the published runs of Murty et al. 2023, on the same lines; 6 layers only",
            *SENTENCES_ASSUMED,
        ],
    ),
    Preset(
        id="small/f2-seeds",
        kind="sweep",
        title="Question-Formation from five seeds on two CPU cores: half an hour",
        spec={"training": _training("small/f2"), "seeds": [0, 1, 2, 3, 4]},
        stated=_training_preset("small/f2").stated,
        assumed=["the same lines for all seeds", *_training_preset("small/f2").assumed],
    ),
)
