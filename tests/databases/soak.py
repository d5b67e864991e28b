"""What `make soak` alone tries: RADIUS_SOAK=1 puts everything on both databases, in the counts of the long profile."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from tests.databases.migrated import DATABASES

SOAK = os.environ.get("RADIUS_SOAK") == "1"


def in_soak_all(database: str) -> tuple[str, ...]:
    """That database, or both of them in the soak."""
    return DATABASES if SOAK else (database,)


def first(most: int, values: Iterable[object]) -> list[Any]:
    """The values, of which `make test` tries the first `most`."""
    given = list(values)
    return [*given[:most], *long(given[most:])]


def long(values: Iterable[object]) -> list[Any]:
    """Values of a parameter that `make soak` alone tries."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def settings_on(database: str) -> pytest.MarkDecorator:
    """The settings of a test that uses that database, or both of them in the soak."""
    return pytest.mark.parametrize("settings", in_soak_all(database), indirect=True)
