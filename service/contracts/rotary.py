"""The rotary positions that a `config.json` specifies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from service.errors import UnsupportedModel

SUPPORTED = ("default", "linear", "dynamic", "llama3", "yarn", "longrope")
_OLDER_NAMES = {"su": "longrope"}
_TRAINED = "original_max_position_embeddings"


def longest_context(found: Mapping[str, Any], n_ctx: int) -> int:
    """The longest context in which a token's vector depends on nothing after it.

    With `longrope`, the angles of all positions change once a text is longer than the model was first trained on; the
    context ends there. With `dynamic`, the same happens beyond `n_ctx`.

    Raises:
        UnsupportedModel: another kind of rotary positions, or a malformed description.
    """
    for described in _descriptions(found):
        kind = described.get("rope_type", described.get("type", "default"))
        kind = _OLDER_NAMES.get(kind, kind) if isinstance(kind, str) else None
        if kind not in SUPPORTED:
            detail = f"config.json: the type of rotary positions must be one of {', '.join(SUPPORTED)}"
            raise UnsupportedModel(detail, field="model")
        if kind == "longrope":
            trained = found.get(_TRAINED, described.get(_TRAINED))
            if isinstance(trained, bool) or not isinstance(trained, int) or trained < 1:
                raise UnsupportedModel(f"config.json: longrope needs {_TRAINED}, a whole number", field="model")
            n_ctx = min(n_ctx, trained)
    return n_ctx


def _descriptions(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rotary descriptions of a configuration: one of all blocks, or one of each kind of block."""
    for key in ("rope_parameters", "rope_scaling"):
        given = found.get(key)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise UnsupportedModel(f"config.json: {key} must be an object", field="model")
        kinds = [value for name, value in given.items() if name.endswith("_attention")]
        if any(not isinstance(kind, dict) for kind in kinds):
            raise UnsupportedModel(f"config.json: {key} must have an object for each kind of block", field="model")
        yield from kinds or [given]
