"""Modules of the tests as processes of their own: they are found in the repository, not in the installed package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def run_own_module(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` in the root of the repository, and keep what it prints.

    Raises:
        subprocess.TimeoutExpired: it takes longer than `timeout_s`.
    """
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, env=environment, timeout=timeout_s)
