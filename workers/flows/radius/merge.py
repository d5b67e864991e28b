"""The answer of a large search, from its staged parts."""

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
from workers.flows.radius.staged import PartFacts, PartStore, PlannedFacts, SearchedFacts, part_name, part_store
from workers.neighbors.candidates import CandidateState, merge_candidates
from workers.neighbors.filtering import Search
from workers.neighbors.null_model import GaussianNull
from workers.neighbors.splitting import answer_from_parts, read_plan, read_state


def merge_parts(sets: SetSearch, report: str, staged: StagedParts, owner: SegmentOwner) -> Found:
    """Merge the states of all parts and rescore the candidates that they leave.

    Raises:
        CorruptArtifact: a part is missing, damaged, or belongs to another plan.
    """
    began, current = time.perf_counter(), owner.runtime
    store = part_store(current, report, staged.plan)
    plan_arrays, plan_facts = part_store(current, report).read("plan", staged.plan, PlannedFacts)
    abouts: list[SearchedFacts] = []

    def merged(search: Search) -> CandidateState:
        whole = None
        for number, sha256 in enumerate(staged.search):
            arrays, about = store.read(part_name("search", number), sha256, SearchedFacts)
            state = read_state(arrays)
            whole = state if whole is None else merge_candidates(whole, state, search.prefixes)
            abouts.append(about)
            owner.progress(0)
        assert whole is not None
        return whole

    found, work = answer_from_parts(sets.searched, read_plan(plan_arrays, plan_facts), merged)
    rescored = time.perf_counter()
    counts, count_s = _sum_counts(store, staged.count)
    options = sets.options(current.settings)
    lists = sets.lists(found, options)
    account = SearchAccount(
        work=replace(work, fused=any(about.fused for about in abouts)),
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
        search_s=plan_facts.work_s + sum(about.work_s for about in abouts) + rescored - began,
        count_s=count_s,
        wall_s=max(0.0, time.time() - plan_facts.began),
    )


def read_null(arguments: ReportArguments, sizes: int, current: Runtime) -> GaussianNull | None:
    """The staged null model of that many fractions; None where an earlier version staged it, without deviations.

    Raises:
        CorruptArtifact: as `merge_parts`.
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
        format=sorted({about.format for about in abouts}),
        device=sorted({about.device for about in abouts}),
        worker=sorted({about.worker for about in abouts}),
    )
