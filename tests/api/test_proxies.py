"""Below a path of a real reverse proxy: links, event streams and documentation; forwarding headers of trusted ones."""

# One database: settings that are refused are made here; what is served runs on both.

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from service.client import Client
from service.settings import Settings
from tests.api.products import Published, publish_report
from tests.api.serving import Server, serve
from tests.api.support import EXTRACTION, client_of, problem_of
from tests.databases.migrated import DATABASES, Databases, sqlite_settings

ROOT = "/tools/radius"


def test_a_wrong_method_below_a_path_is_answered_with_the_right_ones(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data", root_path=ROOT)
    with client_of(settings) as client:
        answer = client.patch(f"{ROOT}/v1/jobs")
        problem_of(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD, POST"


@contextmanager
def proxy(server: str, *, strips: bool) -> Iterator[str]:
    """A reverse proxy on loopback for what is below ROOT; it passes bytes on as they come, one connection a request."""
    host, port = server.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def pass_on(source: socket.socket, target: socket.socket) -> None:
            try:
                while block := source.recv(65536):
                    target.sendall(block)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        def handle(client: socket.socket) -> None:
            with client, socket.create_connection((host, int(port))) as onward:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (block := client.recv(65536)):
                        return
                    head += block
                first, rest = head.split(b"\r\n", 1)
                method, path, version = first.split(b" ")
                path = path.removeprefix(ROOT.encode()) if strips else path
                added = b"Connection: close\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: lab.example\r\n"
                kept = [line for line in rest.split(b"\r\n") if not line.lower().startswith(b"connection:")]
                onward.sendall(b" ".join((method, path, version)) + b"\r\n" + added + b"\r\n".join(kept))
                back = threading.Thread(target=pass_on, args=(onward, client), daemon=True)
                threading.Thread(target=pass_on, args=(client, onward), daemon=True).start()
                back.start()
                back.join()

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{ROOT}"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module", params=DATABASES)
def below(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that is told its path and its proxy."""
    folder = tmp_path_factory.mktemp("below") / "data"
    options = {"root_path": ROOT, "trusted_proxies": "127.0.0.0/8", "allowed_hosts": "lab.example"}
    with (
        databases.settings(request.param, folder, **options) as settings,
        serve(settings, publish_report(settings)) as made,
    ):
        yield made


@pytest.mark.parametrize("strips", [True, False])
def test_links_and_streams_work_below_a_path(below: Server, strips: bool):
    published: Published = below.published
    with proxy(below.url, strips=strips) as url, httpx2.Client(timeout=20, trust_env=False) as http:
        made = http.post(f"{url}/v1/jobs", json={"kind": "extraction", "spec": EXTRACTION})
        assert made.status_code == 202, made.text
        assert made.headers["location"] == f"{ROOT}/v1/jobs/{made.json()['id']}"
        origin = url.removesuffix(ROOT)
        assert http.get(origin + made.headers["location"]).json()["id"] == made.json()["id"]
        (summary,) = http.get(f"{url}/v1/radius").json()["data"]
        assert http.get(origin + summary["href"]).json()["id"] == published.report
        result = http.get(f"{url}/v1/jobs/{published.job}").json()["result"]
        assert http.get(origin + result["href"]).status_code == 200
        headers = {"Accept": "text/event-stream"}
        with http.stream("GET", f"{url}/v1/jobs/{made.json()['id']}/events", headers=headers) as stream:
            assert next(line for line in stream.iter_lines() if line.startswith("event")) == "event: queued"
        page = http.get(f"{url}/docs").text
        assert f"{ROOT}/openapi.json" in page
        assert http.get(f"{url}/openapi.json").json()["info"]["title"] == "Radius"
        assert http.get(f"{url}/static-offline-docs/swagger-ui.css").status_code == 200
        with Client(url) as client:
            assert client.radius(published.report).id == published.report


def test_a_trusted_proxys_host_is_the_one_that_pages_are_of(below: Server):
    with proxy(below.url, strips=True) as url, httpx2.Client(trust_env=False) as http:
        for origin, status in (("https://lab.example", 404), ("https://evil.example", 403)):
            answer = http.post(f"{url}/v1/jobs/job-x/cancel", headers={"Origin": origin})
            assert answer.status_code == status


def test_headers_of_anybody_else_change_nothing(settings: Settings):
    with client_of(settings) as client:
        headers = {"X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}
        assert client.post("/v1/jobs/job-x/cancel", headers=headers).status_code == 403
        assert client.get("/v1/jobs", headers={"X-Forwarded-Host": "evil.example"}).status_code == 200
    trusting = settings.model_copy(update={"trusted_proxies": "10.1.0.0/16"})
    with client_of(trusting) as client:  # which is not in that network
        assert client.get("/v1/jobs", headers={"X-Forwarded-Host": "evil.example"}).status_code == 200


def test_the_key_of_a_service_below_a_path_is_asked_for(settings: Settings):
    guarded = settings.model_copy(update={"root_path": ROOT, "api_keys_file": settings.data_dir / "keys"})
    with client_of(guarded) as client:
        for path in ("/v1/jobs", f"{ROOT}/v1/jobs"):
            problem_of(client.get(path), 401)
        for path in ("/healthz", f"{ROOT}/healthz"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "given", [{"root_path": "radius"}, {"root_path": "/a/"}, {"root_path": "/a?b"}, {"trusted_proxies": "lab"}]
)
def test_settings_of_proxies_are_checked(given: dict[str, str]):
    with pytest.raises(ValueError, match=next(iter(given))):
        Settings(**given)  # pyright: ignore[reportArgumentType]
