"""Source that is generated from other source is committed, and is what the generator makes today."""

from __future__ import annotations

import pytest

from tests.api import blocking_client
from tests.docs import pages


def test_the_blocking_client_is_generated_from_the_asynchronous_one():
    assert blocking_client.generated() == blocking_client.COMMITTED.read_text(encoding="utf-8"), (
        "edit service/client/asynchronous.py, then run `make client`"
    )


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_reference_page_is_generated_from_the_code(name: str):
    assert (pages.FOLDER / name).read_text(encoding="utf-8") == pages.generated(name), "run `make docs`"
