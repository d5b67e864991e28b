"""OLMo 2."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("Olmo2Config", "Olmo2Model")
