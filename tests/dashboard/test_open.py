"""`radius open ID` opens a page that the service has."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from service.commands.jobs import open_page
from service.errors import InvalidInput
from tests.api.support import ONCE

SERVICE = "http://127.0.0.1:8000"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that the browser was asked for."""
    addresses: list[str] = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    return addresses


@ONCE
@pytest.mark.parametrize(
    ("object_id", "path"),
    [
        (None, "/"),
        ("job-1", "/jobs/job-1"),
        ("act-1", "/activations/act-1"),
        ("radius-1", "/radius/radius-1"),
        ("energy-1", "/energy/energy-1"),
        ("profile-1", "/profiles/profile-1"),
        ("run-1", "/training/run-1"),
        ("sweep-1", "/sweeps/sweep-1"),
        ("reproduction-1", "/reproductions/reproduction-1"),
    ],
)
def test_an_id_opens_its_page(api: TestClient, opened: list[str], object_id: str | None, path: str):
    open_page(object_id, f"{SERVICE}/")
    assert opened == [SERVICE + path]
    answer = api.get(path)
    assert answer.status_code == (200 if object_id is None else 404)
    assert "<h1>" in answer.text


def test_what_has_no_page_is_refused(opened: list[str]):
    with pytest.raises(InvalidInput, match="job-…"):
        open_page("corpus-1", SERVICE)
    assert opened == []
