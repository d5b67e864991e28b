"""The browser, where there is one."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

CHROMIUM = shutil.which("chromium")
MISSING = [name for name, there in (("chromium", CHROMIUM), ("playwright", find_spec("playwright"))) if not there]
