"""The kinds of segments, each with typed arguments and a typed result, and the registry of what runs them.

A kind is declared in the `arguments.py` of its job's folder, which needs no torch, so that the control worker can
enqueue it. The function that runs it registers itself by `@runs(KIND)` when a compute worker imports it. Both models
are validated where they enter a process; on the queue they are JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.contracts.base import Contract
from service.contracts.reading import read_contract
from service.errors import InvalidInput
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime


class SegmentModel(Contract):
    """Arguments or result of a segment: small, immutable, JSON on the queue, never data."""


class Nothing(SegmentModel):
    """No arguments, or no result."""


Arguments = TypeVar("Arguments", bound=SegmentModel)
Result = TypeVar("Result", bound=SegmentModel)
Body = dict[str, Any]


@dataclass(frozen=True)
class SegmentKind(Generic[Arguments, Result]):
    """One kind of segment; `name` is its stage in a job's progress and in estimates."""

    name: str
    arguments: type[Arguments]
    result: type[Result]

    def read_arguments(self, body: Body) -> Arguments:
        """The arguments of an enqueued segment; raises `InvalidInput` naming each field that does not fit."""
        return read_contract(self.arguments, body, prefix=f"segment {self.name}: ", name_unknown=True)

    def read_result(self, body: Body) -> Result:
        """The result of a finished segment; raises `InvalidInput` as `read_arguments`."""
        return read_contract(self.result, body, prefix=f"result of {self.name}: ", name_unknown=True)


Owned = Callable[[Arguments, SegmentOwner], Result]
Unowned = Callable[[Arguments, Runtime], Result]
_owned: dict[str, Callable[[Body, SegmentOwner], Body]] = {}
_unowned: dict[str, Callable[[Body, Runtime], Body]] = {}


def runs(kind: SegmentKind[Arguments, Result]) -> Callable[[Owned[Arguments, Result]], Owned[Arguments, Result]]:
    """Register the function that runs segments of that kind.

    A segment may run again from its start after its worker died, so the function is idempotent: it keeps sound files
    of an earlier owner and writes its own atomically.
    """

    def register(work: Owned[Arguments, Result]) -> Owned[Arguments, Result]:
        def run(body: Body, owner: SegmentOwner) -> Body:
            return work(kind.read_arguments(body), owner).model_dump(mode="json")

        _owned[kind.name] = run
        return work

    return register


def runs_unowned(
    kind: SegmentKind[Arguments, Result],
) -> Callable[[Unowned[Arguments, Result]], Unowned[Arguments, Result]]:
    """Register the function that runs background tasks of that kind: they belong to no job and need no fence."""

    def register(work: Unowned[Arguments, Result]) -> Unowned[Arguments, Result]:
        def run(body: Body, runtime: Runtime) -> Body:
            return work(kind.read_arguments(body), runtime).model_dump(mode="json")

        _unowned[kind.name] = run
        return work

    return register


def is_unowned(name: str) -> bool:
    """Whether segments of that kind belong to no job."""
    return name in _unowned


def run_owned(name: str, body: Body, owner: SegmentOwner) -> Body:
    """Run a segment of a job; raises `InvalidInput` for a kind that this version does not have."""
    if name not in _owned:
        raise InvalidInput(f"this version has no segments of kind {name}", field="segment")
    return _owned[name](body, owner)


def run_unowned(name: str, body: Body, runtime: Runtime) -> Body:
    """Run a background task."""
    return _unowned[name](body, runtime)
