"""A host is the same however it is written: to bind, in the setting, in a request, in a URL."""

# No database: the guard uses none.

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from service.addresses import canonical, reachable, url_at
from service.api.guards import HostMiddleware
from service.binding import bind, url_of
from service.commands.administration import check_health
from service.errors import Unavailable
from service.settings import Settings
from tests.api.serving import free_port
from tests.api.support import problem_of

LOOPBACK = ["127.0.0.1", "localhost:8000", "[::1]:8000", "[0:0:0:0:0:0:0:1]"]


def client_at(**options: str) -> TestClient:
    """A client of the guard alone, with the hosts of such settings."""
    app = Starlette(routes=[Route("/healthz", lambda _: PlainTextResponse("ok"))])
    return TestClient(HostMiddleware(app, Settings(**options).request_hosts))  # pyright: ignore


@pytest.mark.parametrize(
    ("host", "requests"),
    [
        ("fd00::2", ["[fd00::2]:8000", "[FD00:0:0::2]"]),
        ("[fd00::2]", ["[fd00::2]:8000"]),
        ("0:0:0:0:0:0:0:1", []),
        ("::", ["[::]:8000"]),
        ("0.0.0.0", ["0.0.0.0:8000"]),
        ("Radius.Example.", ["radius.example:8000", "RADIUS.EXAMPLE", "radius.example."]),
    ],
)
def test_a_service_answers_to_the_host_that_it_binds(host: str, requests: list[str]):
    with client_at(host=host) as client:
        for given in (*LOOPBACK, *requests):
            assert client.get("/healthz", headers={"host": given}).status_code == 200, given


def test_allowed_hosts_are_names_addresses_or_domains():
    with client_at(allowed_hosts="fd00::1, [fd00::3], Box, *.example.com") as client:
        for given in ("[fd00::1]:8000", "[fd00:0::3]", "box:80", "a.example.com", "a.b.EXAMPLE.com:8000"):
            assert client.get("/healthz", headers={"host": given}).status_code == 200, given
        for given in ("[fd00::2]", "box2", "example.com", "example.com.evil", "fd00::1"):
            assert client.get("/healthz", headers={"host": given}).status_code == 400, given


def test_a_refusal_names_the_host_and_the_setting():
    with client_at() as client:
        for given, name in (("Evil.example:8000", "evil.example"), ("[FD00::0:2]:8000", "fd00::2")):
            detail = problem_of(client.get("/healthz", headers={"host": given}), 400, "bad_request")["detail"]
            assert detail.startswith(f"the service is not called {name}: ")
            assert "RADIUS_ALLOWED_HOSTS" in detail
        for given in ("", "a b", "<script>", "[::1", "a:b:c", "x" * 300):
            detail = problem_of(client.get("/healthz", headers={"host": given}), 400, "bad_request")["detail"]
            assert detail == "the request's Host header is not one host name or address"


def test_two_host_headers_are_refused():
    with client_at() as client:
        twice = client.get("/healthz", headers=[("host", "127.0.0.1"), ("host", "evil.example")])
        problem_of(twice, 400, "bad_request")


@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "[::1]", "localhost", "127.0.0.1"])
def test_an_address_is_bound_and_its_url_is_canonical(host: str):
    settings = Settings(host=host, port=0)
    with bind(settings) as listening:
        port = listening.getsockname()[1]
        assert url_of(settings, listening) == url_at(canonical(host), port)
    assert url_at(canonical("0:0:0:0:0:0:0:1"), 80) == "http://[::1]:80"


@pytest.mark.parametrize(
    ("host", "reached"), [("::", "[::1]"), ("0.0.0.0", "127.0.0.1"), ("0:0::0", "[::1]"), ("fd00::2", "[fd00::2]")]
)
def test_health_asks_at_the_address_that_is_bound(host: str, reached: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    settings = Settings(host=host, port=free_port())
    assert url_at(reachable(settings.host), 80) == f"http://{reached}:80"
    if reached != "[fd00::2]":  # no packet goes to a network
        with pytest.raises(Unavailable, match="cannot be reached"):
            check_health(None, settings)
