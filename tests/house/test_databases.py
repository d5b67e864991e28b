"""What uses jobs or the catalog is tried on both databases; a module that is not says why."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOMS = ("api", "end_to_end", "faults")
MODULES = sorted(path for room in ROOMS for path in (TESTS / room).glob("*.py"))
TEST_MODULES = [path for path in MODULES if path.name.startswith("test_")]
REASON = re.compile(r"^# (?:One|No) database: \S.+$", re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def makes_settings(path: Path) -> bool:
    """Whether a module makes settings of its own, which are those of SQLite."""
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    return bool(calls & {"sqlite_settings", "Settings"})


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))


def fixtures(path: Path) -> dict[str, ast.FunctionDef]:
    """The fixtures that tests of a module have, by name."""
    within = (TESTS / "conftest.py", path.parent / "conftest.py", path)
    found = [node for file in within for node in functions(file) if "pytest.fixture" in decorators(node)]
    return {node.name: node for node in found}


def decorators(function: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in function.decorator_list)


def on_both(function: ast.FunctionDef, known: dict[str, ast.FunctionDef]) -> bool:
    """Whether a test or a fixture runs on both databases: by its parameters, or by a fixture that it uses."""
    if "params=DATABASES" in decorators(function) or "params=in_soak_all(" in decorators(function):
        return True
    used = [argument.arg for argument in function.args.args]
    return any(on_both(known[name], known) for name in used if name in known and known[name] is not function)


def runs_on_both(path: Path) -> bool:
    if "ON_SQLITE" in path.read_text():
        return False
    known = fixtures(path)
    return any(on_both(function, known) for function in functions(path) if function.name.startswith("test_"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_that_makes_its_own_settings_says_why(path: Path):
    exempt = makes_settings(path) or (path in TEST_MODULES and not runs_on_both(path))
    assert exempt == bool(REASON.search(path.read_text())), (
        "use `settings`, `service` or `fleet`, or write a line `# One database: why`"
    )


def test_both_databases_are_the_rule():
    assert sum(runs_on_both(path) for path in TEST_MODULES) > len(TEST_MODULES) / 2
