"""The documentation pages work on a machine without a network."""

# No database: pages of documentation.

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_a_documentation_page_loads_from_here_only(stateless: TestClient, page: str):
    text = stateless.get(page).text
    assets = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert assets
    assert [asset for asset in assets if not asset.startswith("/")] == []
    assert {stateless.get(asset).status_code for asset in assets} == {200}
