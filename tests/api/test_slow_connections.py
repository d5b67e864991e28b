"""Connections that send too slowly are cut, and only so many are open: with real sockets."""

# No database: health checks and evaluations use none.

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import numpy as np
import pytest

from tests.api.products import Published
from tests.api.serving import serve
from tests.databases.migrated import sqlite_settings

HEAD_S, MOST = 0.4, 12
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = (
    b"POST /v1/energy/evaluate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
BODY = b'{"patterns": [[1]], "queries": [[2]]}'


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    limits = {"head_s": HEAD_S, "body_bytes_per_s": 1_000, "max_connections": MOST}
    settings = sqlite_settings(tmp_path_factory.mktemp("slow") / "data", **limits)
    with serve(settings, Published("", "", "", np.empty((0, 0)))) as server:
        yield int(server.url.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def status(connection: socket.socket) -> int:
    """The status of the next answer; 0 when the connection was cut."""
    received = b""
    while not received.endswith(b"}"):
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            return 0
        if not part:
            return 0
        received += part
    return int(received.split()[1])


def is_cut_while(connection: socket.socket, sent: bytes) -> bool:
    """Whether the connection ends while it is sent a byte ten times in a period."""
    for byte in sent:
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return True
        time.sleep(HEAD_S / 10)
    return False


def seconds_until_cut(connection: socket.socket) -> float:
    began = time.monotonic()
    assert status(connection) == 0
    return time.monotonic() - began


@pytest.mark.parametrize(
    "sent", [b"", b"G", HEALTH[:-2], POST[:-2] % 10], ids=["nothing", "a byte", "no end", "a post"]
)
def test_an_incomplete_head_is_cut(port: int, sent: bytes):
    with closing(connect(port)) as connection:
        connection.sendall(sent)
        assert seconds_until_cut(connection) == pytest.approx(HEAD_S, abs=5)


def test_a_head_that_comes_byte_by_byte_is_cut(port: int):
    with closing(connect(port)) as connection:
        assert is_cut_while(connection, HEALTH[:-2] + b"X: " + b"a" * 100)


def test_a_second_head_is_cut_too(port: int):
    with closing(connect(port)) as connection:
        connection.sendall(HEALTH)
        assert status(connection) == 200
        connection.sendall(HEALTH[:20])
        assert seconds_until_cut(connection) >= HEAD_S / 2


@pytest.mark.parametrize("sent", [b"", BODY[:1]], ids=["nothing of it", "a byte"])
def test_a_stalled_body_is_cut(port: int, sent: bytes):
    with closing(connect(port)) as connection:
        connection.sendall(POST % 33_000_000 + sent)
        seconds_until_cut(connection)


def test_a_body_of_a_byte_now_and_then_is_cut(port: int):
    with closing(connect(port)) as connection:
        connection.sendall(POST % 10_000)
        assert is_cut_while(connection, b" " * 100)


def test_a_body_that_comes_slowly_but_fast_enough_is_read(port: int):
    """2.5 kB/s for three times the period."""
    padded = BODY.rjust(30 * 100)
    with closing(connect(port)) as connection:
        connection.sendall(POST % len(padded))
        for start in range(0, len(padded), 100):
            connection.sendall(padded[start : start + 100])
            time.sleep(HEAD_S / 10)
        assert status(connection) == 200


def test_requests_one_after_another_are_answered(port: int):
    """A connection has one time limit for each of them, and waits between them as long as the server keeps it."""
    with closing(connect(port)) as connection:
        for _ in range(4):
            connection.sendall(HEALTH)
            assert status(connection) == 200
            time.sleep(HEAD_S / 2)


def test_beyond_the_most_connections_the_next_is_refused_until_one_ends(port: int):
    with ExitStack() as stack:
        kept = [stack.enter_context(closing(connect(port))) for _ in range(MOST)]
        for connection in kept:
            connection.sendall(HEALTH)
            assert status(connection) == 200
        with closing(connect(port)) as further:
            assert status(further) == 503
        kept[0].close()
        deadline, answered = time.monotonic() + 20, 0
        while answered != 200 and time.monotonic() < deadline:
            with closing(connect(port)) as further:
                further.sendall(HEALTH)
                answered = status(further)
        assert answered == 200


DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def connect_narrowly(port: int) -> socket.socket:
    """A connection whose client takes few bytes that it has not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection


def documents(connection: socket.socket, count: int, *, before_s: float = 0.0, between_s: float = 0.0) -> int:
    """How many of `count` answers come, read after and with pauses; fewer where the connection was cut."""
    connection.sendall((count - 1) * DOCUMENT + DOCUMENT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    received = bytearray()
    time.sleep(before_s)
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
            time.sleep(between_s)
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    (length,) = re.findall(rb"content-length: (\d+)", head)
    return (len(rest) + len(head) + 4) // (len(head) + 4 + int(length))


def test_a_client_that_does_not_read_is_cut(port: int):
    """Its requests are answered until the answers wait for it."""
    with closing(connect(port)) as connection:
        assert documents(connection, 1) == 1  # the first takes longest: the document is made
    with closing(connect_narrowly(port)) as connection:
        assert documents(connection, 20, before_s=5 * HEAD_S) < 20


def test_a_client_that_reads_for_longer_than_the_period_gets_all(port: int):
    with closing(connect_narrowly(port)) as connection:
        began = time.monotonic()
        assert documents(connection, 20, between_s=HEAD_S / 400) >= 19  # the last has another head
        assert time.monotonic() - began > 2 * HEAD_S


def test_stalled_bodies_do_not_keep_others_out(port: int):
    """Each was cut, so that more come than there may be connections at once."""
    for _ in range(3):
        with ExitStack() as stack:
            stalled = [stack.enter_context(closing(connect(port))) for _ in range(MOST // 2)]
            for connection in stalled:
                connection.sendall(POST % 33_000_000 + b" " * 1_000)
            for connection in stalled:
                assert status(connection) == 0
    with closing(connect(port)) as connection:
        connection.sendall(HEALTH)
        assert status(connection) == 200
