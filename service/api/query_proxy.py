"""Client of the resident query worker of this host: HTTP over a Unix socket, with a time limit."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx2

from service.errors import RadiusError, Unavailable, error_from_dict
from service.logs.lines import REQUEST_ID
from service.logs.requests import HEADER
from service.serving import DISCONNECT_POLL_S
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
        with httpx2.Client(
            transport=transport, base_url="http://query", timeout=timeout_s, headers=_request_id()
        ) as client:
            yield client


IsDisconnected = Callable[[], Awaitable[bool]]


class QueryProxy:
    """Forwards requests to the worker, each over a connection of its own.

    Args:
        observe: called with the outcome of each, "answered" or "failed", and its seconds.
    """

    def __init__(self, settings: Settings, observe: Callable[[str, float], None] = lambda *_: None) -> None:
        self._settings, self._observe = settings, observe

    def get(self, path: str) -> httpx2.Response:
        """The worker's answer.

        Raises:
            Unavailable: it does not run, or takes longer than `query_timeout_s`.
            RadiusError: the error that the worker answered.
        """
        with self._observed(), query_client(self._settings, self._settings.query_timeout_s) as client:
            return _checked(client.get(path))

    async def query(self, project: str, set_id: str, body: bytes, is_disconnected: IsDisconnected) -> httpx2.Response:
        """The worker's answer to a query of a set; it is cancelled when the client has disconnected.

        Raises:
            Unavailable: as `get`; also where the client has disconnected.
            RadiusError: the error that the worker answered.
        """
        answering = asyncio.create_task(self._post(f"/projects/{project}/activations/{set_id}/query", body))
        try:
            while not (await asyncio.wait((answering,), timeout=DISCONNECT_POLL_S))[0]:
                if await is_disconnected():
                    raise Unavailable("the client has disconnected")
            return answering.result()
        finally:
            answering.cancel()  # closes its connection, which cancels the query

    async def _post(self, path: str, body: bytes) -> httpx2.Response:
        socket = self._settings.query_socket
        check_owner(socket)
        with self._observed(), socket_name(socket) as name:
            transport = httpx2.AsyncHTTPTransport(uds=name, verify=_NO_CERTIFICATES)
            timeout_s = self._settings.query_timeout_s
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://query", timeout=timeout_s, headers=_request_id()
            ) as client:
                return _checked(await client.post(path, content=body))

    @contextmanager
    def _observed(self) -> Iterator[None]:
        """Failures of the transport as errors of ours; how each query ended is observed."""
        began, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "answered"
        except httpx2.TimeoutException as error:
            raise Unavailable("the query worker did not answer in time; the set may still be loading") from error
        except httpx2.TransportError as error:
            raise Unavailable("the query worker cannot be reached") from error
        finally:
            self._observe(outcome, time.perf_counter() - began)


def _request_id() -> dict[str, str]:
    """The header by which the worker's log has the same request id."""
    return {} if (request_id := REQUEST_ID.get()) is None else {HEADER: request_id}


def _checked(response: httpx2.Response) -> httpx2.Response:
    if not response.is_success:
        raise _error(response)
    return response


def _error(response: httpx2.Response) -> RadiusError:
    try:
        return error_from_dict(response.json())
    except (ValueError, AttributeError):
        return Unavailable(f"the query worker answered {response.status_code}")
