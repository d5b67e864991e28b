"""The address that the API binds: a loopback one, or with API keys any."""

from __future__ import annotations

import ipaddress
import socket

from service.errors import InvalidInput
from service.keys import read_keys
from service.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """A listening socket on the settings' host and port.

    Raises:
        InvalidInput: an address that is not loopback, and no API key.
        OSError: the port is taken.
    """
    host = settings.host
    if not is_loopback(host) and (settings.api_keys_file is None or not read_keys(settings.api_keys_file)):
        detail = "without API keys the service binds loopback addresses only; `radius keys create` makes one"
        raise InvalidInput(detail, field="host")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, settings.port), family=family, backlog=128)


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The URL of a bound API."""
    return url_at(settings.host, listening.getsockname()[1])


def url_at(host: str, port: int) -> str:
    """The URL of a host and port; an IPv6 address stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; False for names other than localhost, which may resolve to anything."""
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        return False
