"""Two hosts that the tests of this room share, and what they saw, told at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.conftest import OPTIONS
from tests.hosts.hosts import Hosts, running_hosts

_PARTS = {"search_split_work": 1, "search_segment_s": 0.5}  # every search is large here, and a part of it short


@pytest.fixture(scope="package")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with running_hosts(tmp_path_factory.mktemp("hosts") / "data", **OPTIONS | _PARTS) as hosts:
        yield hosts
