"""What `make soak` alone tries: RADIUS_SOAK=1 puts everything on both databases, in the counts of the long profile."""

from __future__ import annotations

import os

import pytest

from tests.databases.migrated import DATABASES

SOAK = os.environ.get("RADIUS_SOAK") == "1"


def in_soak_all(database: str) -> tuple[str, ...]:
    """That database, or both of them in the soak."""
    return DATABASES if SOAK else (database,)


def settings_on(database: str) -> pytest.MarkDecorator:
    """The settings of a test that uses that database, or both of them in the soak."""
    return pytest.mark.parametrize("settings", in_soak_all(database), indirect=True)
