"""Small changes of the source of a function: what a wrong bound could look like.

Each mutant differs from the source in one place: a comparison that includes or excludes its limit, an arithmetic
operator, a number twice or half as large or one larger, a term, factor or condition left out, a minimum for a maximum.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
_OPPOSITES = {
    "minimum": "maximum", "maximum": "minimum", "amin": "amax", "amax": "amin", "min": "max", "max": "min",
}  # fmt: skip
_DROPPED_CALLS = {"clamp", "clamp_", "nextafter"}
_SKIPPED_KEYWORDS = {"dim", "axis", "field"}  # a wrong axis fails at once and says nothing of a bound


@dataclass(frozen=True)
class Mutant:
    """One changed module.

    Attributes:
        module: its dotted name.
        key: the function, the place and the change, unique within the module.
        source: the whole changed module.
    """

    module: str
    key: str
    source: str


def mutants_of(module: str, functions: Sequence[str]) -> list[Mutant]:
    """All mutants of some functions (`name` or `Class.name`) of a module, in the order of the source."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for function in functions:
        for change in _changes(_function(tree, function)):
            key = f"{function}: {change}"
            seen[key] += 1
            key += f" ({seen[key]})" if seen[key] > 1 else ""
            found.append(Mutant(module, key, ast.unparse(tree)))
    return found


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    scope: ast.Module | ast.ClassDef = tree
    *classes, last = name.split(".")
    for part in classes:
        scope = next(node for node in scope.body if isinstance(node, ast.ClassDef) and node.name == part)
    return next(node for node in scope.body if isinstance(node, ast.FunctionDef) and node.name == last)


def _changes(function: ast.FunctionDef) -> Iterator[str]:
    """Change the function in one place at a time; yields a description while the change is in the tree."""
    for statement in function.body:
        for holder, name, index, node in _places(statement):
            for changed in _replacements(node):
                _put(holder, name, index, changed)
                yield f"{ast.unparse(node)} → {ast.unparse(changed)}"
                _put(holder, name, index, node)


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Every expression under a node, with where it hangs; indices, annotations and some keywords are left out."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "slice") or (
            isinstance(node, ast.keyword) and node.arg in _SKIPPED_KEYWORDS
        ):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.expr):
                yield node, name, index, child
            if isinstance(child, ast.AST):
                yield from _places(child)


def _put(holder: ast.AST, name: str, index: int | None, node: ast.expr) -> None:
    if index is None:
        setattr(holder, name, node)
    else:
        getattr(holder, name)[index] = node


def _replacements(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            yield _with(node, ops=[_COMPARISONS[type(operator)]()])
        case ast.BinOp(op=operator):
            if type(operator) in _OPERATORS:
                yield _with(node, op=_OPERATORS[type(operator)]())
            if isinstance(operator, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
                yield node.right
            if not isinstance(operator, ast.Pow | ast.FloorDiv | ast.Mod | ast.MatMult | ast.Div):
                yield node.left
        case ast.UnaryOp(op=ast.Invert() | ast.Not()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
            if value > 1:
                yield ast.Constant(value // 2)
        case ast.Constant(value=float() as value) if value:
            yield ast.Constant(2 * value)
            yield ast.Constant(value / 2)
        case ast.Call(func=ast.Attribute(value=receiver, attr=name)):
            if name in _OPPOSITES:
                yield _with(node, func=ast.Attribute(receiver, _OPPOSITES[name], ast.Load()))
            if name in _DROPPED_CALLS:
                yield node.args[0] if isinstance(receiver, ast.Name) and receiver.id == "torch" else receiver
        case ast.Call(func=ast.Name(id=name)) if name in ("min", "max"):
            yield _with(node, func=ast.Name(_OPPOSITES[name], ast.Load()))


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
