"""Source that is generated from other source is committed, and is what the generator makes today."""

from __future__ import annotations

from tests.api import blocking_client


def test_the_blocking_client_is_generated_from_the_asynchronous_one():
    assert blocking_client.generated() == blocking_client.COMMITTED.read_text(encoding="utf-8"), (
        "edit service/client/asynchronous.py, then run `make client`"
    )
