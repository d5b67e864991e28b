"""A model of Hugging Face's classes without weights, from a `config.json`; no code of a model's folder is run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from service.contracts.model_config import ModelConfig
from service.errors import UnsupportedModel
from workers.models.families import MODULES


def build_empty(config: ModelConfig) -> Any:
    """The stack of blocks that `config` describes, its parameters without values.

    Tables that are no parameters (angles of rotary positions, scales) are computed. The system gives memory to a
    parameter only when it is written to, so an empty model costs none.

    Raises:
        UnsupportedModel: the library refuses the configuration, or lacks its activation.
    """
    from transformers.activations import ACT2FN
    from transformers.initialization import no_init_weights

    transformers = import_module("transformers")
    modules, family, found = MODULES[config.family.model_type], config.family, dict(config.found)
    if family.activation in found:
        activation = found[family.activation]
        if not isinstance(activation, str) or activation not in ACT2FN:
            raise UnsupportedModel(f"config.json: {family.activation} is not known", field="model")
    try:
        chosen = {"attn_implementation": modules.attention, "use_cache": False}
        theirs = getattr(transformers, modules.config).from_dict(found | chosen)
        with no_init_weights():
            return getattr(transformers, modules.model)(theirs)
    except Exception as error:  # whatever the library's validation raises
        detail = f"the library refuses config.json ({type(error).__name__})"
        raise UnsupportedModel(detail, field="model") from error
