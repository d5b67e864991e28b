"""Limits of a connection, below HTTP: how many there are, and how slowly one may send and read.

head            complete `head_s` after its first byte, and the first byte that long after the connection
body            at least `body_bytes_per_s` over any `head_s`, while the service waits for more of it
answer          taken at that rate too, while some of it waits to be sent
connections     at most `max_connections`; the next one is answered 503 and closed
descriptors     as many as these connections need, where the system grants them, so that `accept` finds one
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.settings import Settings

_SPARE_DESCRIPTORS = 256  # of files, databases and children, beside connections
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 2\r\n"
    b"X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
)
_FULL_BODY = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable",'
    b'"detail":"the service has as many connections as it takes (max_connections)"}'
)


class CountingTransport:
    """A transport that knows how many bytes it was given; all else is the inner one's."""

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner, self._written = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._inner.write(data)

    @property
    def received(self) -> int:
        """Bytes that the client's system has acknowledged; of one that does not read, no more than its buffer holds."""
        waiting = bytearray(4)  # in the system's buffer, which takes more only when a third of it is free
        with suppress(OSError):
            ioctl(self._inner.get_extra_info("socket").fileno(), TIOCOUTQ, waiting)
        return self._written - self._inner.get_write_buffer_size() - int.from_bytes(waiting, sys.byteorder)


class BoundedConnection(H11Protocol):
    """A connection that is closed when its client sends or reads too slowly.

    A timer runs while a request is incomplete: it ends with the head, and is set again for the body, whose bytes are
    counted within each period. While the service itself does not read, because it is busy, no time counts. Another
    timer runs while sent bytes wait for the client, also after the service has closed the connection.
    """

    limits: ClassVar[Settings]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._counting = CountingTransport(transport)
        super().connection_made(cast(asyncio.Transport, self._counting))
        if len(self.connections) > self.limits.max_connections:
            transport.write(_FULL % (len(_FULL_BODY), _FULL_BODY))
            transport.close()
            return
        self._restart()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._timer is None:
            self._restart()
        self._received += len(data)
        head_was_incomplete = self._waits_for_head()
        super().data_received(data)
        self._update_timer(began_body=head_was_incomplete and self._waits_for_body())

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer(began_body=False)
        self._expect_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def _update_timer(self, *, began_body: bool) -> None:
        """Set or end the timer after what has just happened."""
        if self.transport.is_closing() or not (self._waits_for_body() or self._has_part_of_head()):
            self._cancel()
        elif began_body or self._timer is None:
            self._restart()

    def _waits_for_head(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _waits_for_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _has_part_of_head(self) -> bool:
        return self._waits_for_head() and bool(self.conn.trailing_data[0])

    def _restart(self) -> None:
        self._cancel()
        self._received = 0
        self._timer = self.loop.call_later(self.limits.head_s, self._expire)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect_reading(self) -> None:
        """Cut the connection if, while something waits to be sent, too little is taken within a period."""
        if self._unread_timer is None and self.transport.get_write_buffer_size():
            self._unread_timer = self.loop.call_later(self.limits.head_s, self._check_reading, self._counting.received)

    def _check_reading(self, received_before: int) -> None:
        self._unread_timer = None
        taken = self._counting.received - received_before
        if self.transport.get_write_buffer_size() and taken < self.limits.body_bytes_per_s * self.limits.head_s:
            self.transport.abort()
        else:
            self._expect_reading()

    def _expire(self) -> None:
        self._timer = None
        enough = self._received >= self.limits.body_bytes_per_s * self.limits.head_s
        if self._waits_for_body() and (enough or self.flow.read_paused):
            self._restart()
        elif not self.transport.is_closing():
            self.transport.abort()


def bounded_by(settings: Settings) -> type[BoundedConnection]:
    """The connections of a server for `settings`."""

    class Bounded(BoundedConnection):
        limits = settings

    return Bounded


def raise_descriptor_limit(settings: Settings) -> None:
    """Take as many file descriptors as connections may need, where the system grants them; say so where it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + _SPARE_DESCRIPTORS
    if soft < wanted:
        granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
        if granted < wanted:
            most = "the system grants %d file descriptors, and max_connections is %d: fewer connections fit"
            logging.getLogger(__name__).warning(most, granted, settings.max_connections)
