"""A statement with a nested one says whose rows it needs: one of a project refuses nested statements on owned tables.

Such a statement is of all projects (`OF_ALL`), or stands here with why no project's connection refuses it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for room in ("service", "workers") for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts
]
NESTING = {"subquery", "scalar_subquery", "union", "union_all", "intersect", "except_", "cte", "lateral"}
# Functions of the catalog whose nested statements need no `OF_ALL`.
WITHIN = {
    "products.delete": "the statement is part of two others, which are of all projects",
    "ownership.with_owner": "the value of a row that is inserted",
    "ownership._is_own": "the condition itself",
    "ownership._readable": "the condition itself",
    "inputs.named_steps": "the nested statement reads job_inputs, which has no owner",
    "reuse.find": "the nested statement reads job_results, which has no owner",
    "reuse._may_be_used": "workers alone run it, on connections of all projects",
    "totals.work_done": "the metrics read all projects",
}


def calls(function: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def selects(function: ast.AST) -> set[str]:
    """Names that a function gives to statements."""
    assigned = (node for node in ast.walk(function) if isinstance(node, ast.Assign))
    return {
        target.id
        for node in assigned
        for target in node.targets
        if isinstance(target, ast.Name) and ast.unparse(node.value).startswith("sa.select(")
    }


def nests(function: ast.AST) -> bool:
    """Whether a function makes a statement that has another within."""
    named = selects(function)
    for call in calls(function):
        if not isinstance(call.func, ast.Attribute):
            continue
        name, of = call.func.attr, ast.unparse(call.func.value)
        if name == "exists" and (of == "sa" or of in named):
            return True
        if name in NESTING and (of == "sa" or "sa.select(" in of or of in named):
            return True
        if name == "in_" and (ast.unparse(call.args[0]) in named or "sa.select(" in ast.unparse(call.args[0])):
            return True
    return False


def nested() -> dict[str, str]:
    """The source of every function that nests statements, by module and name."""
    functions = (
        (path.stem, node)
        for path in SOURCES
        if "sqlalchemy" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {f"{module}.{node.name}": ast.unparse(node) for module, node in functions if nests(node)}


def test_every_nested_statement_says_whose_rows_it_needs():
    found = nested()
    assert {name for name, source in found.items() if "OF_ALL" not in source} == WITHIN.keys()
    assert len(found) > len(WITHIN)
