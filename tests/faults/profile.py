"""How often each fault is tried: a short profile among all tests, and a long one with RADIUS_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.databases.soak import SOAK


@dataclass(frozen=True)
class Profile:
    """Counts of one profile. Hostile files are always tried all."""

    kill_jobs: int  # finished while compute and control workers are killed at random
    kill_pause_s: float  # mean time between two kills
    freezes: int  # of a worker past its lease, woken while another has its segment, and after
    every_place: bool  # a writer dies and is frozen at every system call of its publish, and tries again after each
    frozen_pairs: int  # of places of two writers of one publish
    control_deaths: int  # of the control worker, during one job
    flips: int  # of one byte, in sets and in reports each
    races: int  # of a cancellation against the end of a job
    writing_s: float  # of hard writing on SQLite
    submit_p99_s: float  # 99 % of the submissions meanwhile take less


SHORT_PROFILE = Profile(
    kill_jobs=6,
    kill_pause_s=1.0,
    freezes=1,
    every_place=False,
    frozen_pairs=6,
    control_deaths=3,
    flips=100,
    races=8,
    writing_s=3,
    submit_p99_s=10,
)
SOAK_PROFILE = Profile(
    kill_jobs=int(os.environ.get("RADIUS_SOAK_JOBS", "200")),
    kill_pause_s=0.8,
    freezes=20,
    every_place=True,
    frozen_pairs=100,
    control_deaths=5,
    flips=1000,
    races=500,
    writing_s=60,
    submit_p99_s=1.5,
)
PROFILE = SOAK_PROFILE if SOAK else SHORT_PROFILE
SEED = int(os.environ.get("RADIUS_SEED", "0"))


def tried(places: Sequence[int]) -> Sequence[int]:
    """System calls of a publish that are tried: in the short profile every other one, and the last."""
    return places[::-1] if PROFILE.every_place else places[::-2]
