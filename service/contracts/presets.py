"""The presets: named specs that a request can name, with what the paper states of them and what is assumed."""

from __future__ import annotations

from difflib import get_close_matches

from service.contracts.jobs import Preset
from service.contracts.sweep_presets import SWEEP_PRESETS
from service.contracts.training_presets import TRAINING_PRESETS
from service.errors import InvalidInput

DEMO_MODEL = "demo-gpt2"
_SITES = ["blocks.-1.hook_resid_post", "final_norm_out"]
_READING = '"activations of the last layer" is read both before and after the final norm: two sites'

_DEPTH_STATED = ["the experiment of appendix F.1 is of the last layer"]
_DEPTH = "the residual stream after every block, and the final norm"
_DESCENT = "Does a block do a nearest-neighbour search (eq. 6)? All layers of the residual stream"


def _of_hub(preset: str, name: str, model: str, time: str = "minutes") -> Preset:
    """`small/f1` of a model of another family."""
    return Preset(
        id=preset,
        kind="analysis",
        title=f"As small/f1, of {name}: {time} on two CPU cores; needs the hub",
        spec={
            "model": model,
            "corpus": "python-docs",
            "sites": _SITES,
            "chunk_tokens": 64,
            "chunks": 2_000,
            "chunks_per_document": "all",
            "radius": {"statistics": True},
        },
        stated=["last position, nearest neighbour, nested fractions"],
        assumed=[
            _READING,
            f"the model comes from the Hugging Face hub: workers need the network, or the folder {model} in the models "
            "directory",
            "no BOS token precedes a chunk (bos: none)",
        ],
    )


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
            "radius": {
                "fractions": [0.25, 0.5, 0.75, 1.0],
                "exclude": "self",
                "statistics": True,
                "extrapolate_to": [8_013_769, 35_156_250],  # documents of the corpus; its tokens over 256
            },
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
            "radius": {"statistics": True},
        },
        stated=["last position, nearest neighbour, nested fractions"],
        assumed=[_READING, "GPT-2 small, the Python language reference, 64-token chunks, all of a document"],
    ),
    _of_hub("small/pythia", "Pythia 160M", "EleutherAI/pythia-160m-deduped"),
    _of_hub("small/smollm2", "SmolLM2 135M, of the Llama family", "HuggingFaceTB/SmolLM2-135M"),
    _of_hub("small/qwen3", "Qwen 3 0.6B", "Qwen/Qwen3-0.6B-Base"),
    _of_hub("small/olmo2", "OLMo 2 1B", "allenai/OLMo-2-0425-1B", "many minutes"),
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
        id="paper/profile",
        kind="analysis",
        title="GPT-2 medium, every block: radius, dimension and null models over depth (GPU)",
        spec={
            "model": "openai-community/gpt2-medium",
            "corpus": "openwebtext",
            "sites": "all",
            "chunk_tokens": 256,
            "chunks": 80_000,
            "radius": {"statistics": True},
        },
        stated=_DEPTH_STATED,
        assumed=[_DEPTH, "as paper/f1"],
    ),
    Preset(
        id="small/profile",
        kind="analysis",
        title="The same of GPT-2 small: about half an hour on two CPU cores",
        spec={
            "model": "openai-community/gpt2",
            "corpus": "python-docs",
            "sites": "all",
            "chunk_tokens": 64,
            "chunks": 2_000,
            "chunks_per_document": "all",
            "radius": {"statistics": True},
        },
        stated=_DEPTH_STATED,
        assumed=[_DEPTH, "as small/f1"],
    ),
    Preset(
        id="smoke/profile",
        kind="analysis",
        title="The same of the model that `radius demo` trains: seconds",
        spec={
            "model": DEMO_MODEL,
            "corpus": "python-docs",
            "sites": "all",
            "chunk_tokens": 32,
            "chunks": 512,
            "chunks_per_document": "all",
            "radius": {"statistics": True},
        },
        stated=_DEPTH_STATED,
        assumed=["as small/profile, on a GPT-2 of a few million parameters trained on the corpus itself"],
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


def find_preset(preset_id: str, field: str = "spec.preset") -> Preset:
    """The preset of that id; raises `InvalidInput` where there is none."""
    for preset in PRESETS:
        if preset.id == preset_id:
            return preset
    alike = get_close_matches(preset_id, (preset.id for preset in PRESETS), 1)
    near = f"the nearest is {alike[0]}" if alike else "/v1/presets lists them"
    raise InvalidInput(f"no such preset; {near}", field=field)
