"""What the source imports is declared in pyproject.toml: an installation from it alone has every package."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OWN = {"service", "workers"}
# The extras that a room's processes are installed with, and packages that a module does without where they are missing.
INSTALLED = {"service": [], "workers": ["compute", "cpu"]}
OPTIONAL = {"tensorboard": "tensorboard", "triton": "interpreter", "pandas": "frames"}


def name_of(requirement: str) -> str:
    """`psycopg[binary]>=3.2` is psycopg."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def declared(*extras: str) -> set[str]:
    given = [*PROJECT["dependencies"], *(part for extra in extras for part in EXTRAS[extra])]
    return {name_of(requirement) for requirement in given}


@cache
def imported(room: str) -> dict[str, set[str]]:
    """The top-level modules of other packages that a room imports anywhere, with the files that do."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / room).rglob("*.py")):
        for module in modules(ast.parse(path.read_text())):
            if module not in sys.stdlib_module_names | OWN:
                found[module].add(path.relative_to(ROOT).as_posix())
    return found


def modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", INSTALLED)
def test_every_import_is_of_a_declared_package(room: str):
    known, providers = declared(*INSTALLED[room]), packages_distributions()
    for module, files in imported(room).items():
        if module in OPTIONAL:
            assert name_of(module) in declared(OPTIONAL[module])
            continue
        names = {name_of(distribution) for distribution in providers[module]}
        assert names & known, f"{module}, which {sorted(files)} import, comes from {names}: declare it"


def test_the_driver_of_postgresql_is_declared_with_its_library():
    assert "psycopg" in imported("service")
    assert any(requirement.startswith("psycopg[binary]") for requirement in PROJECT["dependencies"])
