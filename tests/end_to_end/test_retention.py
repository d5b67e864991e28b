"""The control worker removes what is past its time."""

from __future__ import annotations

import os
import time

from tests.end_to_end.conftest import PATIENCE_S, Running


def test_what_a_dead_import_left_goes(service: Running):
    left = service.settings.staging_root / f"act-{'0' * 26}"
    left.mkdir(parents=True)
    fresh = service.settings.staging_root / f"act-{'1' * 26}"
    fresh.mkdir()
    os.utime(left, (1.0, 1.0))
    deadline = time.monotonic() + PATIENCE_S
    while left.exists():
        assert time.monotonic() < deadline, "nobody sweeps"
        time.sleep(0.05)
    assert fresh.exists()
    fresh.rmdir()
