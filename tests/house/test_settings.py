"""Settings that were renamed are still read from the environment under their earlier names."""

from __future__ import annotations

import pytest

from service.settings import Settings

RENAMED = {"RADIUS_SETTLE_INTERVAL_S": "reconcile_interval_s", "RADIUS_SWEEP_INTERVAL_S": "cleanup_interval_s"}


@pytest.mark.parametrize(("earlier", "name"), RENAMED.items())
def test_an_earlier_name_is_accepted_and_the_present_one_wins(earlier: str, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(earlier, "7")
    assert getattr(Settings(), name) == 7
    monkeypatch.setenv(f"RADIUS_{name.upper()}", "8")
    assert getattr(Settings(), name) == 8
    assert getattr(Settings(**{name: 9}), name) == 9  # pyright: ignore[reportArgumentType]
