"""OpenELM (Mehta et al. 2024), as training runs here make it; the published models need code of their own."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="openelm", title="OpenELM, trained here", kept=True)
