"""Hugging Face's classes of each family in `service.contracts.families`, in a module of the same name.

modules.py has `Modules`, of which each family's module makes one:
gpt2.py, gpt_neox.py, opt.py, llama.py, mistral.py, qwen2.py, qwen3.py, gemma2.py, gemma3_text.py, olmo2.py, phi3.py
"""

from __future__ import annotations

from importlib import import_module

from service.contracts.families import IN_FOLDERS
from workers.models.families.modules import Modules

MODULES: dict[str, Modules] = {
    name: import_module(f"workers.models.families.{name}").MODULES for name in IN_FOLDERS
}  # fmt: skip
