"""The `config.json` of a model folder, read strictly: the sizes of a GPT-2, or the key that makes none."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from service.errors import UnsupportedModel

LARGEST_CONFIG = 2**20  # bytes of a config.json; GPT-2's has 700
_KEYS = {  # our name: the file's, its newer alias, GPT-2's default, the largest value
    "n_layers": ("n_layer", "num_hidden_layers", 12, 9_999),
    "n_ctx": ("n_positions", "max_position_embeddings", 1_024, 2**20),
    "d_model": ("n_embd", "hidden_size", 768, 2**16),
    "n_heads": ("n_head", "num_attention_heads", 12, 2**16),
    "d_vocab": ("vocab_size", "vocab_size", 50_257, 2**24),
}


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a GPT-2; `d_mlp` is the width of the feed-forward layer."""

    n_layers: int
    n_ctx: int
    d_model: int
    n_heads: int
    d_vocab: int
    d_mlp: int


def parse_config(body: bytes) -> dict[str, Any]:
    """The object in a `config.json`.

    Raises:
        UnsupportedModel: the file is too long, or no JSON object.
    """
    if len(body) > LARGEST_CONFIG:
        raise UnsupportedModel(f"config.json has more than {LARGEST_CONFIG} bytes", field="model")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnsupportedModel(f"config.json is not JSON ({_reason(error)})", field="model") from error
    if not isinstance(found, dict):
        raise UnsupportedModel("config.json is not a JSON object", field="model")
    return found


def read_config(body: bytes) -> ModelConfig:
    """The sizes in the `config.json` of a GPT-2.

    Raises:
        UnsupportedModel: another family, a quantised model, or a key whose value makes no model; the message names it.
    """
    found = parse_config(body)
    _check_family(found)
    sizes = {ours: _size(found, *keys) for ours, keys in _KEYS.items()}
    if sizes["d_model"] % sizes["n_heads"]:
        detail = f"config.json: n_head {sizes['n_heads']} does not divide n_embd {sizes['d_model']}"
        raise UnsupportedModel(detail, field="model")
    d_mlp = 4 * sizes["d_model"] if found.get("n_inner") is None else _number("n_inner", found["n_inner"], 2**20)
    epsilon = found.get("layer_norm_epsilon", 1e-5)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < math.inf:
        raise UnsupportedModel("config.json: layer_norm_epsilon must be a positive number", field="model")
    return ModelConfig(**sizes, d_mlp=d_mlp)


def _check_family(found: dict[str, Any]) -> None:
    family = found.get("model_type")
    if not isinstance(family, str):
        raise UnsupportedModel("config.json has no model_type; only the GPT-2 family is supported", field="model")
    if family != "gpt2":
        raise UnsupportedModel(f"the model is a {family[:64]!a}; only the GPT-2 family is supported", field="model")
    if found.get("quantization_config") is not None:
        raise UnsupportedModel("config.json: quantization_config; quantised models are not supported", field="model")
    if found.get("add_cross_attention"):
        raise UnsupportedModel("a GPT-2 with cross-attention is not supported", field="model")


def _size(found: dict[str, Any], key: str, alias: str, default: int, most: int) -> int:
    given = [found[name] for name in dict.fromkeys((key, alias)) if name in found]
    if len(given) == 2 and given[0] != given[1]:
        raise UnsupportedModel(f"config.json: {key} and {alias} differ", field="model")
    return _number(key, given[0], most) if given else default


def _number(key: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UnsupportedModel(f"config.json: {key} must be a whole number from 1 to {most}", field="model")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply"
