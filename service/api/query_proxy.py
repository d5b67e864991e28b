"""Client of the resident query worker of this host: HTTP over a Unix socket, with a time limit."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2

from service.errors import RadiusError, Unavailable, error_from_dict
from service.logs.lines import REQUEST_ID
from service.logs.requests import HEADER
from service.settings import Settings
from service.unix_sockets import check_owner, socket_name

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@contextmanager
def query_client(settings: Settings, timeout_s: float) -> Iterator[httpx2.Client]:
    """A client of the worker, in plain HTTP: `_NO_CERTIFICATES` saves 50 ms of loading them.

    Raises:
        Unavailable: the worker does not run, or its socket is not this user's.
    """
    check_owner(settings.query_socket)
    with socket_name(settings.query_socket) as name:
        transport = httpx2.HTTPTransport(uds=name, verify=_NO_CERTIFICATES)
        headers = {} if (request_id := REQUEST_ID.get()) is None else {HEADER: request_id}
        with httpx2.Client(transport=transport, base_url="http://query", timeout=timeout_s, headers=headers) as client:
            yield client


class QueryProxy:
    """Forwards requests to the worker, each over a connection of its own.

    Args:
        observe: called with the outcome of each, "answered" or "failed", and its seconds.
    """

    def __init__(self, settings: Settings, observe: Callable[[str, float], None] = lambda *_: None) -> None:
        self._settings, self._observe = settings, observe

    def send(self, method: str, path: str, body: str | None = None) -> httpx2.Response:
        """The worker's answer.

        Raises:
            Unavailable: it does not run, or takes longer than `query_timeout_s`.
            RadiusError: the error that the worker answered.
        """
        began, outcome = time.perf_counter(), "failed"
        try:
            with query_client(self._settings, self._settings.query_timeout_s) as client:
                response = client.request(method, path, content=body)
            outcome = "answered"
        except httpx2.TimeoutException as error:
            raise Unavailable("the query worker did not answer in time; the set may still be loading") from error
        except httpx2.TransportError as error:
            raise Unavailable("the query worker cannot be reached") from error
        finally:
            self._observe(outcome, time.perf_counter() - began)
        if not response.is_success:
            raise _error(response)
        return response


def _error(response: httpx2.Response) -> RadiusError:
    try:
        return error_from_dict(response.json())
    except (ValueError, AttributeError):
        return Unavailable(f"the query worker answered {response.status_code}")
