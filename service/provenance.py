"""The `provenance` block of a result: what produced it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from service import __version__


def provenance(packages: Sequence[str], **facts: Any) -> dict[str, Any]:
    """Our version and commit, Python's and the given packages' versions, and further facts (seed, device, hashes)."""
    versions = {"radius": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"versions": versions, "commit": source_commit(), "platform": platform.platform()} | facts


@cache
def source_commit() -> str | None:
    """The commit checked out beside the package, read from `.git`; None in an installed package."""
    git = Path(__file__).parent.parent / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {reference}")), None)
    except (OSError, IndexError):
        return None
