"""No input that looks like a path reaches outside the folders of the service: what is opened is watched."""

# One database: files are looked for, and ids are looked up alike on both.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.api.opened import listening
from tests.api.support import client_of, import_array, npy_bytes
from tests.databases.migrated import sqlite_settings

SECRET = "secretQ9z of the host"
DEPTHS = (1, 2, 8)
ENCODED = [
    "%2e%2e%2f",
    "%2e%2e/",
    "..%2f",
    "%252e%252e%252f",
    "..%5c",
    "%c0%ae%c0%ae%c0%af",
    "..%c0%af",
    "%uff0e%uff0e/",
]
TRICKS = [
    "....//", "..;/", ".../", "..\\", "..//", "./../", "../.%00/", "..\u2215", "..\uff0f", "\uff0e\uff0e/",
]  # fmt: skip
TARGETS = ["secret.txt", "secret.npy"]


@dataclass(frozen=True)
class Place:
    """A client, the folder beside its data that holds secrets, and a set to ask for files of."""

    client: TestClient
    outside: Path
    set_id: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The corpora and the models roots have links to what is outside."""
    folder = tmp_path_factory.mktemp("traversal")
    outside = folder / "outside"
    outside.mkdir()
    for name in TARGETS:
        (outside / name).write_text(SECRET)
    (outside / "config.json").write_text('{"model_type": "gpt2"}')
    settings = sqlite_settings(folder / "data")
    (settings.corpora_root / "link").symlink_to(outside)
    (settings.corpora_root / "link.txt").symlink_to(outside / "secret.txt")
    (settings.models_root / "link").symlink_to(outside)
    with client_of(settings) as client:
        yield Place(client, outside.resolve(), import_array(client, np.eye(3)))


def names(outside: Path) -> list[str]:
    """Sixty and more names for a file that is outside."""
    relative = [up * depth + f"outside/{TARGETS[0]}" for up in ["../", *ENCODED, *TRICKS] for depth in DEPTHS]
    absolute = [str(outside / name) for name in TARGETS]
    absolute += [f"file://{path}" for path in absolute] + [
        f"/{absolute[0]}",
        f"~root{absolute[0]}",
        f"{absolute[0]}\x00.txt",
    ]
    linked = ["link/secret.txt", "link/../outside/secret.txt", "link.txt", "./link/secret.txt", "link//secret.txt"]
    system = [
        "/etc/passwd",
        "../../../../etc/passwd",
        "~/.ssh/id_rsa",
        "/proc/self/environ",
        "C:\\boot.ini",
        "\\\\host\\share",
    ]
    return [*relative, *absolute, *linked, *system]


PATHS = [
    "/v1/activations/{set}/files/{name}", "/v1/activations/{name}", "/v1/activations/{name}/rows", "/v1/corpora/{name}",
    "/v1/radius/{name}", "/v1/radius/{name}/figure.png", "/v1/energy/{name}/figure.svg", "/v1/profiles/{name}",
    "/v1/training/{name}", "/v1/sweeps/{name}", "/v1/jobs/{name}", "/v1/theory/figure1.{name}",
    "/static-offline-docs/{name}",
]  # fmt: skip


def check(place: Place, response: object, opened: list[Path], given: str) -> None:
    text = getattr(response, "text", "")
    assert opened == [], given
    assert SECRET not in text
    assert "root:" not in text
    assert getattr(response, "status_code", 500) < 500, (given, text)


def test_there_are_sixty_names(place: Place):
    assert len(set(names(place.outside))) >= 60


@pytest.mark.parametrize("path", PATHS)
def test_no_name_in_a_path_reaches_outside(place: Place, path: str):
    for given in names(place.outside):
        url = path.format(set=place.set_id, name=given if "%" in given else quote(given, safe=""))
        with listening() as opened:
            response = place.client.get(url)
        check(place, response, opened.below(place.outside), given)


def test_no_path_of_a_corpus_reaches_outside(place: Place):
    """Links under the corpora root are the operator's: the API does not open them, and a worker reads what is there."""
    for given in names(place.outside):
        if given.startswith(("link", "./link")):
            continue
        with listening() as opened:
            response = place.client.post("/v1/corpora", json={"path": given})
        check(place, response, opened.below(place.outside), given)
        assert response.status_code == 422, given


@pytest.mark.parametrize("field", ["model", "corpus", "revision"])
def test_no_name_in_a_spec_reaches_outside(place: Place, field: str):
    spec = {"model": "m", "corpus": "python-docs"}
    for given in names(place.outside):
        body = {"kind": "extraction", "spec": spec | {field: given}}
        with listening() as opened:
            response = place.client.post("/v1/jobs/estimate", json=body)
        assert [path for path in opened.below(place.outside) if path.name != "config.json"] == [], given
        assert SECRET not in response.text
        assert response.status_code < 500, (given, response.text)


@pytest.mark.parametrize("route", ["/v1/corpora", "/v1/activations"])
def test_the_name_of_an_uploaded_file_is_used_for_no_path(place: Place, route: str):
    for given in names(place.outside)[::2]:
        with listening() as opened:
            response = place.client.post(route, files={"file": (f"{given}.txt", b"text")})
        assert opened.below(place.outside) == [], given
        assert all(
            path.name.startswith(".file.") or "uploads" not in path.parts
            for path in opened.written_below(place.outside.parent)
        )
        assert response.status_code < 500
    assert sorted(path.name for path in place.outside.iterdir()) == ["config.json", *sorted(TARGETS)]


@pytest.mark.parametrize("field", ["name", "tensor"])
def test_no_field_of_a_form_is_used_for_a_path(place: Place, field: str):
    for given in names(place.outside)[::4]:
        with listening() as opened:
            response = place.client.post(
                "/v1/activations", files={"file": ("a.npy", npy_bytes(np.eye(2)))}, data={field: given}
            )
        check(place, response, opened.below(place.outside), given)
