"""The names that libraries give to sites, and what they are here.

The first number in a name is the index of a block; it may be negative, as in our own names. `hidden_states[k]` of
Hugging Face, and the layer k that vLLM is set to give out, are the residual stream after k blocks; but the last of
Hugging Face's is after the final norm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from service.contracts.families import FAMILIES, Family
from service.contracts.sites import FINAL_NORM, HOOKS, HookName, Site, distinct_sites, is_canonical, parse_site
from service.errors import InvalidInput

Library = Literal["transformer_lens_old", "transformer_lens_new", "huggingface", "vllm"]
LIBRARIES: tuple[Library, ...] = ("transformer_lens_old", "transformer_lens_new", "huggingface", "vllm")
LONGEST_NAME = 128
_INDEX = re.compile(r"-?[0-9]{1,4}")
_STATES, _AUXILIARY = "hidden_states[{i}]", "eagle_aux_hidden_state_layer_ids={i}"


@dataclass(frozen=True)
class SiteNames:
    """The names of the sites of one model.

    Attributes:
        parallel: whether attention and MLP of a block read the same input, so that there is no `resid_mid`.
    """

    family: Family
    n_layers: int
    parallel: bool = False

    def parse(self, text: str) -> Site:
        """The site with that name here or in one of the libraries.

        Raises:
            InvalidInput: there is no such name, or the model has no such site.
        """
        site = parse_site(text, self.n_layers) if is_canonical(text) else self._translate(text)
        if self.parallel and site.hook == "resid_mid":
            detail = f"attention and MLP of a {self.family.model_type} block read one input: it has no hook_resid_mid"
            raise InvalidInput(detail, field="sites")
        return site

    def distinct(self, names: list[str] | Literal["all"]) -> list[str]:
        """Parse names and drop repeated sites, as `distinct_sites` does; raises what `parse` raises."""
        if names == "all":
            return distinct_sites(names, self.n_layers)
        parsed = [(name, self.parse(name)) for name in names]
        return distinct_sites([name if is_canonical(name) else str(site) for name, site in parsed], self.n_layers)

    def sites(self) -> list[Site]:
        """All sites, in the order of the forward pass."""
        hooks: list[HookName] = [hook for hook in HOOKS if not (self.parallel and hook == "resid_mid")]
        return [*(Site(i, hook) for i in range(self.n_layers) for hook in hooks), Site(self.n_layers, FINAL_NORM)]

    def names(self, site: Site) -> dict[Library, list[str]]:
        """The names of a site in each library; an empty list where a library has none."""
        found: dict[Library, list[str]] = {
            library: [name.replace("{i}", str(site.layer)) for name, hook in of_library.items() if hook == site.hook]
            for library, of_library in spellings(self.family).items()
        }
        blocks = site.layer + (site.hook == "resid_post")
        if site.hook in ("resid_pre", "resid_post") and _AUXILIARY in spellings(self.family)["vllm"]:
            found["vllm"].append(_AUXILIARY.replace("{i}", str(blocks)))
        last_of_stream = site.hook == "resid_post" and blocks == self.n_layers
        if not self.family.kept and site.hook in ("resid_pre", "resid_post", FINAL_NORM) and not last_of_stream:
            found["huggingface"].append(_STATES.replace("{i}", str(blocks)))
        return found

    def _translate(self, text: str) -> Site:
        template, index = _INDEX.sub("{i}", text, count=1), _INDEX.search(text)
        hooks = [of_library[template] for of_library in spellings(self.family).values() if template in of_library]
        if not hooks:
            detail = f"a {self.family.model_type} has no site of that name; GET /v1/sites lists them"
            raise InvalidInput(detail, field="sites")
        if hooks[0] == FINAL_NORM:
            return Site(self.n_layers, FINAL_NORM)
        assert index is not None
        if template not in (_STATES, _AUXILIARY):
            return parse_site(f"blocks.{int(index[0])}.hook_{hooks[0]}", self.n_layers)
        return self._of_stream(int(index[0]), after_norm=template == _STATES)

    def _of_stream(self, blocks: int, *, after_norm: bool) -> Site:
        """The residual stream after so many blocks, the last one after the final norm; −1 is the last."""
        blocks = blocks + self.n_layers + 1 if blocks < 0 else blocks
        if not 0 <= blocks <= self.n_layers:
            detail = f"the residual stream has {self.n_layers + 1} places between blocks; a site names one outside"
            raise InvalidInput(detail, field="sites")
        if blocks == self.n_layers and after_norm:
            return Site(blocks, FINAL_NORM)
        return Site(blocks - 1, "resid_post") if blocks else Site(0, "resid_pre")


@lru_cache(maxsize=len(FAMILIES))
def spellings(family: Family) -> dict[Library, dict[str, str]]:
    """The names in each library, with `{i}` for the block, and our hook; "stream" where the index counts blocks."""
    return {
        "transformer_lens_old": {} if family.kept else {f"blocks.{{i}}.hook_{hook}": hook for hook in HOOKS},
        "transformer_lens_new": {} if family.kept else _lens_names(family),
        "huggingface": {} if family.kept else _module_names(family) | {_STATES: "stream"},
        "vllm": {_AUXILIARY: "stream"} if family.vllm else {},
    }


def is_known(text: str) -> bool:
    """Whether a text is a name of a site in any family."""
    return is_canonical(text) or _INDEX.sub("{i}", text, count=1) in _templates()


@lru_cache(maxsize=1)
def _templates() -> set[str]:
    return {name for family in FAMILIES.values() for of_library in spellings(family).values() for name in of_library}


def _lens_names(family: Family) -> dict[str, str]:
    """TransformerLens 3 and later: inputs and outputs of its own modules."""
    after = family.norms != "before"
    return {
        "blocks.{i}.hook_in": "resid_pre",
        f"blocks.{{i}}.{'ln1_post' if after else 'attn'}.hook_out": "attn_out",
        f"blocks.{{i}}.{'mlp' if family.norms == 'after' else 'ln2'}.hook_in": "resid_mid",
        f"blocks.{{i}}.{'ln2_post' if after else family.lens_mlp}.hook_out": "mlp_out",
        "blocks.{i}.hook_out": "resid_post",
        "ln_final.hook_out": FINAL_NORM,
    }


def _module_names(family: Family) -> dict[str, str]:
    """Modules of Hugging Face's language model whose outputs are sites."""
    block = f"{family.root}.{family.blocks}.{{i}}"
    return {
        f"{block}.{family.attention}": "attn_out",
        f"{block}.{family.mlp}": "mlp_out",
        block: "resid_post",
        f"{family.root}.{family.final_norm}": FINAL_NORM,
        "last_hidden_state": FINAL_NORM,
    }
