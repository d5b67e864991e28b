"""The address that the API binds: a loopback one, or with API keys any."""

from __future__ import annotations

import fcntl
import socket

from service.addresses import is_loopback, url_at
from service.errors import InvalidInput
from service.keys import read_keys
from service.permissions import others_may_write
from service.settings import Settings

_FIRST_FREE = 3  # descriptors 0 to 2 are standard streams, which a child process has of its own


def bind(settings: Settings) -> socket.socket:
    """A listening socket on the settings' host and port.

    Raises:
        InvalidInput: an address that is not loopback, and no API key; a keys file that other users may write.
        OSError: the port is taken.
    """
    host = settings.host
    file = settings.api_keys_file
    if file is not None and file.exists() and others_may_write(file):
        raise InvalidInput("other users may write the keys file; chmod 600 repairs it", field="api_keys_file")
    if not is_loopback(host) and (file is None or not read_keys(file)):
        detail = "without API keys the service binds loopback addresses only; `radius keys create` makes one"
        raise InvalidInput(detail, field="host")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _above_standard(socket.create_server((host, settings.port), family=family, backlog=128))


def _above_standard(listening: socket.socket) -> socket.socket:
    """The socket under a number that no standard stream has, which it gets where a stream was closed at the start."""
    if listening.fileno() >= _FIRST_FREE:
        return listening
    with listening:
        return socket.socket(fileno=fcntl.fcntl(listening.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The URL of a bound API."""
    return url_at(settings.host, listening.getsockname()[1])
