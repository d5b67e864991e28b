"""Segment of a large search: the neighbours of one range of the queries, from the staged states of all parts."""

from __future__ import annotations

from collections.abc import Iterator

from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.radius.arguments import SETTLE, SettleArguments, Staged
from workers.flows.radius.parts import read_staged_plan
from workers.flows.radius.search import open_search
from workers.flows.radius.staged import Arrays, SearchedFacts, SettledFacts, part_name, part_store
from workers.neighbors.answers import Neighbors
from workers.neighbors.settling import settle


@runs(SETTLE)
def settle_one_range(arguments: SettleArguments, owner: SegmentOwner) -> Staged:
    """Merge the states of all parts for one range of the queries and rescore what they leave; the answer is staged."""
    current, number = owner.runtime, arguments.number
    store = part_store(current, arguments.report, arguments.plan)

    def states() -> Iterator[Arrays]:
        for part, sha256 in enumerate(arguments.search):
            arrays, _ = store.read(part_name("search", part), sha256, SearchedFacts, part_name("range", number))
            yield arrays
            owner.progress(0)

    def make() -> tuple[Arrays, SettledFacts]:
        sets, (plan, ranges) = open_search(arguments.spec, current), read_staged_plan(arguments, current)
        found, work = settle(sets.searched, plan, ranges[number], states)
        return answer_arrays(found), SettledFacts(work=work)

    return Staged(sha256=store.stage(owner, part_name("settle", number), SettledFacts, make))


def answer_arrays(found: list[Neighbors]) -> Arrays:
    """The neighbours in each prefix as arrays; `read_answer` makes them neighbours again."""
    return {
        f"{name}_{prefix}": getattr(part, name)
        for prefix, part in enumerate(found)
        for name in ("rows", "distances", "ids")
    }


def read_answer(arrays: Arrays) -> list[Neighbors]:
    """The certified neighbours in each prefix."""
    return [
        Neighbors(arrays[f"rows_{prefix}"], arrays[f"distances_{prefix}"], arrays[f"ids_{prefix}"], certified=1.0)
        for prefix in range(len(arrays) // 3)
    ]
