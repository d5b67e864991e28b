"""Workers are killed at random; every job ends with exactly one result, the one it has when nobody dies."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from service.catalog.tables import segments
from tests.databases.soak import SOAK
from tests.faults.conftest import Tally, on
from tests.faults.fleet import COMPUTE, WORKERS, Fleet
from tests.faults.outcomes import outcome, published_by, unlisted
from tests.faults.products import publish_set
from tests.faults.profile import PROFILE, SEED

EXTRACTION = {
    "model": "tiny",
    "corpus": "python-docs",
    "sites": ["blocks.1.hook_resid_post"],
    "chunk_tokens": 16,
    "chunks": 96,
    "chunks_per_document": "all",
    "reuse": False,
}
PATIENCE_S = 900.0 if SOAK else 150.0


@dataclass
class Killer:
    """Kills a worker now and then, but no owner of a segment that lost one already: three deaths are a verdict."""

    fleet: Fleet
    chance: random.Random
    stop: threading.Event = field(default_factory=threading.Event)
    killed: Counter[str] = field(default_factory=Counter)
    error: Exception | None = None

    def __call__(self) -> None:
        try:
            self._kill()
        except Exception as error:
            self.error = error

    def _kill(self) -> None:
        while not self.stop.wait(self.chance.uniform(0.2, 2) * PROFILE.kill_pause_s):
            at_work = [name for name in COMPUTE if self._held(name)]
            name = self.chance.choice(at_work if at_work and self.chance.random() < 0.7 else WORKERS)
            held = self._held(name)
            if not any(row.deaths for row in held):
                self.fleet.kill(name)
                self.killed["at work" if held else "idle" if name in COMPUTE else "control"] += 1

    def _held(self, name: str) -> list[Any]:
        query = sa.select(segments).where(segments.c.worker == name, segments.c.running)
        with self.fleet.catalog.read() as connection:
            return list(connection.execute(query))


@contextmanager
def killing(fleet: Fleet) -> Iterator[Killer]:
    killer = Killer(fleet, random.Random(SEED))
    thread = threading.Thread(target=killer, daemon=True)
    thread.start()
    try:
        yield killer
    finally:
        killer.stop.set()
        thread.join()


@pytest.fixture(scope="module")
def kinds(fleet: Fleet) -> list[tuple[str, dict[str, Any]]]:
    """Jobs of every kind, some of them of a set that was there before."""
    set_id = publish_set(fleet, 200)
    radius = {"activations": set_id, "exclude": "same_document", "fractions": [0.5, 1.0], "radii": [1.0, 5.0]}
    return [
        ("extraction", EXTRACTION),
        ("radius", radius),
        ("analysis", EXTRACTION | {"radius": {"fractions": [1.0]}, "chunks": 40}),
        ("radius", radius | {"engine": "faiss-flat", "k": 3}),
        ("energy", {"activations": [set_id], "sample": 30}),
        ("radius", radius | {"exclude": "self"}),
    ]


@pytest.fixture(scope="module")
def unbroken(fleet: Fleet, kinds: list[tuple[str, dict[str, Any]]]) -> list[list[Any]]:
    """What each kind comes to when nobody dies."""
    handles = [fleet.client.submit(kind, spec) for kind, spec in kinds]
    return [outcome(fleet.settings, handle.wait(timeout_s=PATIENCE_S).job) for handle in handles]


@pytest.mark.long
@on("postgresql")
def test_every_job_ends_once_and_as_if_nobody_had_died(
    fleet: Fleet, kinds: list[tuple[str, dict[str, Any]]], unbroken: list[list[Any]], tally: Tally
):
    before = unlisted(fleet.settings, fleet.catalog)
    with killing(fleet) as killer:
        wanted = [kinds[number % len(kinds)] for number in range(PROFILE.kill_jobs)]
        handles = [fleet.client.submit(kind, spec) for kind, spec in wanted]
        done = [handle.wait(timeout_s=PATIENCE_S).job for handle in handles]
    tally(seed=SEED, jobs=len(done), succeeded=len(done), **{f"killed {k}": n for k, n in killer.killed.items()})
    assert killer.error is None
    assert killer.killed["at work"] >= PROFILE.kill_jobs // 12, "too few kills hit a segment"
    for number, job in enumerate(done):
        assert outcome(fleet.settings, job) == unbroken[number % len(kinds)], f"seed {SEED}: {job}"
        assert published_by(fleet.catalog, job.id) == sorted(result.id for result in job.results)
    assert unlisted(fleet.settings, fleet.catalog) <= before
