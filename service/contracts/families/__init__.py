"""The families of models whose activations are read; docs/families.md says how to add one.

family.py            what is to be known of a family
gpt2.py              GPT-2
gpt_neox.py          GPT-NeoX, Pythia
opt.py               OPT
llama.py             Llama, SmolLM, TinyLlama
mistral.py           Mistral
qwen2.py             Qwen 2
qwen3.py             Qwen 3
gemma2.py            Gemma 2
gemma3_text.py       Gemma 3 without images
olmo2.py             OLMo 2
phi3.py              Phi-3
openelm.py           OpenELM of training runs
sentence_decoder.py  the Question-Formation decoder of training runs
"""

from __future__ import annotations

from service.contracts.families import (
    gemma2,
    gemma3_text,
    gpt2,
    gpt_neox,
    llama,
    mistral,
    olmo2,
    openelm,
    opt,
    phi3,
    qwen2,
    qwen3,
    sentence_decoder,
)
from service.contracts.families.family import Family

_MODULES = (
    gpt2, gpt_neox, opt, llama, mistral, qwen2, qwen3, gemma2, gemma3_text, olmo2, phi3, openelm, sentence_decoder,
)  # fmt: skip
FAMILIES: dict[str, Family] = {module.FAMILY.model_type: module.FAMILY for module in _MODULES}
IN_FOLDERS = tuple(name for name, family in FAMILIES.items() if not family.kept)

__all__ = ["FAMILIES", "IN_FOLDERS", "Family"]
