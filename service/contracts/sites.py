"""The grammar of sites (hook points): where in the model a vector is read, in TransformerLens spelling.

Of GPT-2, for example:

hidden = wte + wpe                          blocks.0.hook_resid_pre
per block i:  + attention(ln_1(hidden))     .hook_attn_out   then .hook_resid_mid
              + mlp(ln_2(hidden))           .hook_mlp_out    then .hook_resid_post
ln_f(hidden)                                final_norm_out   (Hugging Face's last hidden state)

`attn_out` and `mlp_out` are what is added to the residual stream: where a family has norms after attention and MLP,
they are the norms' outputs. `site_names.py` has the names that libraries give to sites.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from service.errors import InvalidInput

HookName = Literal["resid_pre", "attn_out", "mlp_out", "resid_mid", "resid_post", "final_norm_out"]
HOOKS: tuple[HookName, ...] = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")  # of a block, in order
FINAL_NORM = "final_norm_out"
SITE_PATTERN = rf"^(blocks\.-?[0-9]{{1,4}}\.hook_({'|'.join(HOOKS)})|{FINAL_NORM})$"
_BLOCK = re.compile(rf"blocks\.(-?[0-9]{{1,4}})\.hook_({'|'.join(HOOKS)})")


@dataclass(frozen=True)
class Site:
    """One place in a model of known depth; `layer` counts from 0 and is the depth itself for `final_norm_out`."""

    layer: int
    hook: HookName

    def __str__(self) -> str:
        return FINAL_NORM if self.hook == FINAL_NORM else f"blocks.{self.layer}.hook_{self.hook}"


def is_canonical(text: str) -> bool:
    """Whether a text is in the grammar."""
    return text == FINAL_NORM or _BLOCK.fullmatch(text) is not None


def parse_site(text: str, n_layers: int) -> Site:
    """The site that `text` names in a model of `n_layers` blocks; a negative block index counts from the end.

    Raises:
        InvalidInput: not in the grammar, or a block the model does not have.
    """
    if text == FINAL_NORM:
        return Site(n_layers, FINAL_NORM)
    match = _BLOCK.fullmatch(text)
    if match is None:
        raise InvalidInput("a site is blocks.{i}.hook_{name} or final_norm_out", field="sites")
    index = int(match[1])
    layer = index + n_layers if index < 0 else index
    if not 0 <= layer < n_layers:
        raise InvalidInput(f"the model has {n_layers} blocks; a site names one outside", field="sites")
    return Site(layer, cast(HookName, match[2]))


def distinct_sites(names: list[str] | Literal["all"], n_layers: int) -> list[str]:
    """The first name of each site: in a model of n blocks `blocks.-1.…` and `blocks.{n - 1}.…` are the same one.

    "all" names the residual stream after each block, and the final norm.

    Raises:
        InvalidInput: as `parse_site`.
    """
    if names == "all":
        names = [*(f"blocks.{block}.hook_resid_post" for block in range(n_layers)), FINAL_NORM]
    named: dict[Site, str] = {}
    for name in names:
        named.setdefault(parse_site(name, n_layers), name)
    return list(named.values())
