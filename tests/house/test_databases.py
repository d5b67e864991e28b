"""Everything about jobs and the catalog is tried on both databases: no test makes one of its own unnoticed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOMS = ("api", "end_to_end", "faults")
MODULES = sorted(path for room in ROOMS for path in (TESTS / room).glob("*.py"))
# What makes settings itself, which are on SQLite then, and why it may.
ON_SQLITE = {
    "api/conftest.py": "an application for what has nothing to do with a database",
    "api/openapi.py": "the document of the routes",
    "api/test_about.py": "folders of models",
    "api/test_connections.py": "SQLite's own file is replaced",
    "api/test_keys.py": "a file of keys",
    "api/test_readiness.py": "SQLite's own file is damaged; a stopped server is `tests/postgres`",
    "faults/processes.py": "read from the environment",
    "faults/publishes.py": "files, in a copy of a data directory",
    "faults/store.py": "files, in a copy of a data directory",
    "faults/test_flipped_bytes.py": "files",
    "faults/test_parts.py": "a fleet whose searches are all large; what it does with the catalog others try on both",
}
JOBS_AND_CATALOG = {
    "api": "activation_files activation_imports activation_rows async_client background_tasks client corpora "
    "corpus_uploads energy estimates event_stream hostile_corpora hostile_json hostile_parameters idempotency "
    "job_atomicity job_control job_listing jobs limits liveness problems progress published_reports radius radius_options "
    "radius_partition radius_queries radius_requests random_json retention reuse segment_owners sweeps training "
    "worker_locks",
    "end_to_end": "budget energy_jobs estimates job_control kill main_job radius_jobs retention reuse sweep training",
    "faults": "cancel_against_finish control_deaths frozen_worker full_disk hard_writing hostile_imports random_kills "
    "poison stopped_worker",
}
LISTED = [TESTS / room / f"test_{name}.py" for room, names in JOBS_AND_CATALOG.items() for name in names.split()]


def name_of(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def calls(path: Path) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return (node for node in tree.body if isinstance(node, ast.FunctionDef))


def fixtures(path: Path) -> dict[str, ast.FunctionDef]:
    """The fixtures that tests of a module have, by name."""
    within = (TESTS / "conftest.py", path.parent / "conftest.py", path)
    found = [node for file in within for node in functions(file) if "pytest.fixture" in decorators(node)]
    return {node.name: node for node in found}


def decorators(function: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in function.decorator_list)


def on_both(function: ast.FunctionDef, known: dict[str, ast.FunctionDef]) -> bool:
    """Whether it is a fixture of both databases, or rests on one."""
    if "params=DATABASES" in decorators(function) or "params=in_soak_all(" in decorators(function):
        return True
    asked = [argument.arg for argument in function.args.args]
    return any(on_both(known[name], known) for name in asked if name in known and known[name] is not function)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_settings_come_from_the_fixtures_of_both_databases(path: Path):
    makes_its_own = bool(calls(path) & {"sqlite_settings", "Settings"})
    assert makes_its_own == (name_of(path) in ON_SQLITE), "ask for `settings`, `service` or `fleet`, or say why not"


@pytest.mark.parametrize("path", LISTED, ids=name_of)
def test_jobs_and_the_catalog_are_tried_on_both(path: Path):
    known = fixtures(path)
    assert "ON_SQLITE" not in path.read_text()
    assert any(on_both(function, known) for function in functions(path) if function.name.startswith("test_"))


def test_no_module_is_on_neither_list():
    others = {f"end_to_end/test_{name}.py" for name in ("command_line", "queries", "trainers")}  # no catalog of theirs
    others |= {"api/test_documentation.py", "api/test_evaluate.py", "api/test_openapi.py", "api/test_theory.py"}
    others |= {"api/test_stopping.py"}
    others |= {f"faults/test_{name}.py" for name in ("frozen_writer", "killed_supervisor", "publish_boundaries")}
    others |= {"faults/test_refused_calls.py"}
    tests = {name_of(path) for path in MODULES if path.name.startswith("test_")}
    assert tests == {name_of(path) for path in LISTED} | others | (set(ON_SQLITE) & tests)
