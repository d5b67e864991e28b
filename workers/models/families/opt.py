"""OPT."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("OPTConfig", "OPTModel")
