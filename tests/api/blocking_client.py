"""The blocking client is generated from the asynchronous one. `python -m tests.api.blocking_client` (`make client`)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

FOLDER = Path(__file__).parents[2] / "service" / "client"
SOURCE, COMMITTED = FOLDER / "asynchronous.py", FOLDER / "blocking.py"
HEADER = (
    '"""The calls of a client that blocks. `make client` generates this file from `asynchronous.py`: edit that one."""'
)
NAMES = {
    "AsyncSession": "Session",
    "AsyncClient": "Client",
    "AsyncRetrying": "Retrying",
    "aclose": "close",
    "asyncio": "time",
}


def generated() -> str:
    """The source of the blocking client, formatted."""
    with tempfile.TemporaryDirectory() as folder:
        rule = unasync.Rule(str(SOURCE.parent), folder, additional_replacements=NAMES)
        unasync.unasync_files([str(SOURCE)], [rule])
        text = (Path(folder) / SOURCE.name).read_text(encoding="utf-8")
    _, rest = text.split("\n", 1)
    return _formatted(f"{HEADER}\n{rest}")


def _formatted(text: str) -> str:
    for command in (["check", "--quiet", "--fix", "--unsafe-fixes", "--select", "I,UP028"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(COMMITTED), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=FOLDER).stdout
    return text


if __name__ == "__main__":
    COMMITTED.write_text(generated(), encoding="utf-8")
