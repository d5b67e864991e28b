"""Phi-3."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Phi3Config", "Phi3Model")
