"""The `config.json` of a model folder, read strictly: the family and its sizes, or the key that makes none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from service.contracts.families import FAMILIES, IN_FOLDERS, Family
from service.contracts.rotary import longest_context
from service.contracts.site_names import SiteNames
from service.errors import UnsupportedModel

LARGEST_CONFIG = 2**20  # bytes of a config.json; GPT-2's has 700
_LARGEST = {
    "n_layers": 9_999,
    "n_ctx": 2**20,
    "d_model": 2**16,
    "n_heads": 2**16,
    "d_vocab": 2**24,
    "d_mlp": 2**20,
    "n_kv_heads": 2**16,
    "d_head": 2**16,
}
_HINTS = {"gemma3": "of Gemma 3, models of text alone are (gemma3_text)"}


@dataclass(frozen=True)
class ModelConfig:
    """The facts of a model in its `config.json`.

    Attributes:
        n_ctx: the longest context that is read; see `longest_context`.
        d_mlp: width of the feed-forward layer.
        n_kv_heads: heads of keys and values, which groups of `n_heads / n_kv_heads` queries share.
        tied: whether the output map is the embedding.
        logit_cap: soft cap of the logits, or None.
        parallel: whether attention and MLP of a block read the same input.
        found: the whole file.
    """

    family: Family
    n_layers: int
    n_ctx: int
    d_model: int
    n_heads: int
    d_vocab: int
    d_mlp: int
    n_kv_heads: int
    d_head: int
    tied: bool
    logit_cap: float | None
    parallel: bool
    found: Mapping[str, Any] = field(repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that people ask for."""
        return {name: getattr(self, name) for name in ("n_layers", "n_ctx", "d_model", "n_heads", "d_vocab", "d_mlp")}

    @property
    def site_names(self) -> SiteNames:
        """The names of the model's sites."""
        return SiteNames(self.family, self.n_layers, self.parallel)


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
    """The family and the sizes in a `config.json`.

    Raises:
        UnsupportedModel: another family, a quantised model, or a key whose value makes no model; the message names it.
    """
    found = parse_config(body)
    family = _family(found)
    _check_values(found, family)
    size = partial(_size, found, family)
    n_layers, n_ctx, d_model, n_heads = (size(name) for name in ("n_layers", "n_ctx", "d_model", "n_heads"))
    if d_model % n_heads and not _given(found, family, "d_head"):
        keys = family.keys["n_heads"][0], family.keys["d_model"][0]
        detail = f"config.json: {keys[0]} {n_heads} does not divide {keys[1]} {d_model}"
        raise UnsupportedModel(detail, field="model")
    n_kv_heads = size("n_kv_heads", n_heads)
    if n_heads % n_kv_heads:
        detail = f"config.json: num_key_value_heads {n_kv_heads} does not divide num_attention_heads {n_heads}"
        raise UnsupportedModel(detail, field="model")
    return ModelConfig(
        family=family,
        n_layers=n_layers,
        n_ctx=longest_context(found, n_ctx),
        d_model=d_model,
        n_heads=n_heads,
        d_vocab=size("d_vocab"),
        d_mlp=size("d_mlp", None if family.gated else 4 * d_model),
        n_kv_heads=n_kv_heads,
        d_head=size("d_head", d_model // n_heads),
        tied=_boolean(found, "tie_word_embeddings", default=family.tied),
        logit_cap=_logit_cap(found, family),
        parallel=family.parallel is not None and _boolean(found, family.parallel[0], default=family.parallel[1]),
        found=found,
    )


def _family(found: dict[str, Any]) -> Family:
    name = found.get("model_type")
    supported = f"supported are {', '.join(IN_FOLDERS)}"
    if not isinstance(name, str):
        raise UnsupportedModel(f"config.json has no model_type; {supported}", field="model")
    if name not in IN_FOLDERS:
        hint = f"; {_HINTS[name]}" if name in _HINTS else ""
        raise UnsupportedModel(f"the model is a {name[:64]!a}; {supported}{hint}", field="model")
    return FAMILIES[name]


def _check_values(found: dict[str, Any], family: Family) -> None:
    """Raise `UnsupportedModel` for keys whose values are not supported."""
    if found.get("quantization_config") is not None:
        raise UnsupportedModel("config.json: quantization_config; quantised models are not supported", field="model")
    for key, value in family.required.items():
        given = found.get(key)
        if given is not None and given != value:
            detail = f"config.json: a {family.model_type} is supported only with {key} {json.dumps(value)}"
            raise UnsupportedModel(detail, field="model")
    for key, other in family.same.items():
        if found.get(key) is not None and found[key] != found.get(other):
            detail = f"config.json: a {family.model_type} is supported only with {key} equal to {other}"
            raise UnsupportedModel(detail, field="model")
    if family.epsilon is not None:
        _positive(family.epsilon, found.get(family.epsilon, 1e-5))


def _logit_cap(found: dict[str, Any], family: Family) -> float | None:
    if family.logit_cap is None:
        return None
    key, default = family.logit_cap
    cap = found.get(key, default)
    return None if cap is None else _positive(key, cap)


def _positive(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UnsupportedModel(f"config.json: {key} must be a positive number", field="model")
    return float(value)


def _given(found: dict[str, Any], family: Family, name: str) -> bool:
    return name in family.defaults or any(found.get(key) is not None for key in family.keys.get(name, ()))


def _size(found: dict[str, Any], family: Family, name: str, default: int | None = None) -> int:
    """The size of that name; a missing key is the family's default, or the one given, which null is too."""
    keys = family.keys.get(name, ())
    given = [found[key] for key in keys if key in found]
    if len(given) == 2 and given[0] != given[1]:
        raise UnsupportedModel(f"config.json: {keys[0]} and {keys[1]} differ", field="model")
    if given and (given[0] is not None or default is None):
        return _number(keys[0], given[0], _LARGEST[name])
    fallback = default if given else family.defaults.get(name, default)
    if fallback is None:
        raise UnsupportedModel(f"config.json: {keys[0]} is missing", field="model")
    return fallback


def _number(key: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UnsupportedModel(f"config.json: {key} must be a whole number from 1 to {most}", field="model")
    return value


def _boolean(found: dict[str, Any], key: str, *, default: bool) -> bool:
    value = found.get(key, default)
    if not isinstance(value, bool):
        raise UnsupportedModel(f"config.json: {key} must be true or false", field="model")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deeply"
