"""Gemma 3 of text."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Gemma3TextConfig", "Gemma3TextModel")
