"""The answer of a large search, joined from what its segments have staged."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch

from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.radius.account import PartsAccount, SearchAccount
from workers.flows.radius.arguments import ReportArguments, StagedParts
from workers.flows.radius.search import Found, SetSearch, reason_of
from workers.flows.radius.settling import read_answer
from workers.flows.radius.staged import (
    PartFacts,
    PartStore,
    PlannedFacts,
    SearchedFacts,
    SettledFacts,
    part_name,
    part_store,
)
from workers.neighbors.null_model import GaussianNull
from workers.neighbors.settling import join_settled, join_work


def join_parts(sets: SetSearch, report: str, staged: StagedParts, owner: SegmentOwner) -> Found:
    """Join the settled ranges of the queries, and add up the counts of all parts.

    Raises:
        CorruptArtifact: a part is missing, damaged, or belongs to another plan.
    """
    began, current = time.perf_counter(), owner.runtime
    store = part_store(current, report, staged.plan)
    plan_facts = part_store(current, report).facts("plan", staged.plan, PlannedFacts)
    abouts = [
        store.facts(part_name("search", number), sha256, SearchedFacts) for number, sha256 in enumerate(staged.search)
    ]
    settled, settled_facts = [], list[SettledFacts]()
    for number, sha256 in enumerate(staged.settle):
        arrays, facts = store.read(part_name("settle", number), sha256, SettledFacts)
        settled.append(read_answer(arrays))
        settled_facts.append(facts)
        owner.progress(0)
    found = join_settled(sets.searched, settled)
    joined_s, worked = time.perf_counter() - began, [plan_facts, *abouts, *settled_facts]
    counts, count_s = _sum_counts(store, staged.count)
    options = sets.options(current.settings)
    lists = sets.lists(found, options)
    account = SearchAccount(
        work=replace(join_work([facts.work for facts in settled_facts]), fused=any(about.fused for about in abouts)),
        engine_asked=sets.spec.engine,
        resident=options.resident,
        device=torch.device(abouts[0].device),
        kernel=next((about.kernel for about in abouts if about.kernel), ""),
        parts=_account_of_parts(staged, abouts),
    )
    return Found(
        lists=lists,
        k=sets.spec.k,
        engine="exact",
        reason=reason_of(sets.spec),
        approximations=[None] * len(lists),
        counts=counts,
        account=account,
        search_s=sum(facts.work_s for facts in worked) + joined_s,
        count_s=count_s,
        wall_s=max(0.0, time.time() - plan_facts.began),
    )


def read_null(arguments: ReportArguments, sizes: int, current: Runtime) -> GaussianNull | None:
    """The staged null model of that many fractions; None where an earlier version staged it, without deviations.

    Raises:
        CorruptArtifact: as `join_parts`.
    """
    assert arguments.null is not None
    arrays, _ = part_store(current, arguments.report).read("null", arguments.null, PartFacts)
    if "deviations" not in arrays:
        return None
    return GaussianNull([arrays[f"distances_{at}"] for at in range(sizes)], arrays["deviations"])


def _sum_counts(store: PartStore, digests: list[str]) -> tuple[Any, float]:
    """(n, radii) counts of all parts, None where there are none, and the seconds they took."""
    counts, seconds = None, 0.0
    for number, sha256 in enumerate(digests):
        arrays, about = store.read(part_name("count", number), sha256, PartFacts)
        counts = arrays["counts"] if counts is None else counts + arrays["counts"]
        seconds += about.work_s
    return counts, seconds


def _account_of_parts(staged: StagedParts, abouts: list[SearchedFacts]) -> PartsAccount:
    return PartsAccount(
        search=len(staged.search),
        count=len(staged.count),
        settle=len(staged.settle),
        format=sorted({about.format for about in abouts}),
        device=sorted({about.device for about in abouts}),
        worker=sorted({about.worker for about in abouts}),
    )
