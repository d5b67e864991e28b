"""Mistral."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("MistralConfig", "MistralModel")
