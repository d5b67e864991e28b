"""Gemma 2: PyTorch's fused attention has no soft caps."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Gemma2Config", "Gemma2Model", attention="eager")
