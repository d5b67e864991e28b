"""Client of the resident query worker of this host: HTTP over a Unix socket, with a time limit."""

from __future__ import annotations

import ssl

import httpx2

from service.errors import RadiusError, Unavailable, error_from_dict
from service.settings import Settings


def query_transport(settings: Settings) -> httpx2.HTTPTransport:
    """A transport to the worker's socket, in plain HTTP: it loads no certificates, which would take 50 ms."""
    return httpx2.HTTPTransport(uds=str(settings.query_socket), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


class QueryProxy:
    """Forwards requests to the worker; it connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._socket = settings.query_socket
        transport = query_transport(settings)
        self._http = httpx2.Client(transport=transport, base_url="http://query", timeout=settings.query_timeout_s)

    def send(self, method: str, path: str, body: str | None = None) -> httpx2.Response:
        """The worker's answer.

        Raises:
            Unavailable: it does not run, or takes longer than `query_timeout_s`.
            RadiusError: the error that the worker answered.
        """
        if not self._socket.exists():
            raise Unavailable("the query worker is not running")
        try:
            response = self._http.request(method, path, content=body)
        except httpx2.TimeoutException as error:
            raise Unavailable("the query worker did not answer in time; the set may still be loading") from error
        except httpx2.TransportError as error:
            raise Unavailable("the query worker cannot be reached") from error
        if not response.is_success:
            raise _error(response)
        return response

    def close(self) -> None:
        self._http.close()


def _error(response: httpx2.Response) -> RadiusError:
    try:
        return error_from_dict(response.json())
    except (ValueError, AttributeError):
        return Unavailable(f"the query worker answered {response.status_code}")
