"""What the docstring of a package lists is there, and a package that lists modules lists them all."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path for room in ("service", "workers") for path in (ROOT / room).rglob("__init__.py"))


def docstring(package: Path) -> str:
    return (ast.get_docstring(ast.parse(package.read_text())) or "") if package.exists() else ""


def mentioned(text: str) -> set[str]:
    """The modules of its own folder that a docstring names."""
    return set(re.findall(r"(?<![\w/.])(\w+)\.py\b", text))


def modules(package: Path) -> set[str]:
    return {path.stem for path in package.parent.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_package_lists_its_modules(package: Path):
    """Those that every folder beside it has, its parent's docstring may describe."""
    text = docstring(package)
    listed = set(re.findall(r"^ *(\w+)\.py\b", text, flags=re.MULTILINE))
    assert listed <= modules(package)
    if listed:
        assert modules(package) <= mentioned(text) | mentioned(docstring(package.parents[1] / "__init__.py"))
