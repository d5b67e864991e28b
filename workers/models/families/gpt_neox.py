"""GPT-NeoX."""

from __future__ import annotations

from workers.models.families.modules import Modules

MODULES = Modules("GPTNeoXConfig", "GPTNeoXModel")
