"""GPT-2; `workers.models.gpt2` walks through its blocks."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("GPT2Config", "GPT2Model")
