"""Qwen 3."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Qwen3Config", "Qwen3Model")
