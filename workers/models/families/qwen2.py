"""Qwen 2."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Qwen2Config", "Qwen2Model")
