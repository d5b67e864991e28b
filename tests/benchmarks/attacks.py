"""Hostile and heavy requests, each a function of a server's port that returns the statuses of its answers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection

import httpx2
import numpy as np

from tests.api.support import npy_bytes

MIB = 2**20
EVALUATE, JOBS, JSON = "/v1/energy/evaluate", "/v1/jobs", {"content-type": "application/json"}
HEAD = (
    b"POST /v1/energy/evaluate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
)
Attack = Callable[[int], list[int]]


def evaluation(patterns: bytes) -> bytes:
    """The body of an evaluation with these patterns."""
    return b'{"queries": [[0]], "patterns": [' + patterns + b"]}"


def legal(rows: int = 1_000, numbers: int = 999) -> bytes:
    """An evaluation at the limit of numbers, with all digits of each."""
    row = b"[" + b",".join(b"-0.%017d" % (10**16 + 7 * at) for at in range(numbers)) + b"]"
    query = b"[" + b",".join([b"0.5"] * numbers) + b"]"
    return b'{"queries": [' + query + b'], "patterns": [' + b",".join([row] * rows) + b"]}"


def bodies(path: str, body: bytes, count: int = 1) -> Attack:
    """`count` requests with that body at once."""

    def attack(port: int) -> list[int]:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: post(port, path, body), range(count)))

    return attack


def post(port: int, path: str, body: bytes) -> int:
    """The status of one request; 0 where the connection was cut."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            connection.request("POST", path, body, JSON)
        try:
            response = connection.getresponse()
            response.read()
        except ConnectionResetError:
            return 0
        return response.status


def query(port: int) -> list[int]:
    """A question of one text of 30 MB to a set that was imported before."""
    files = {"file": ("a.npy", npy_bytes(np.eye(4, dtype=np.float32)))}
    made = httpx2.post(f"http://127.0.0.1:{port}/v1/activations", files=files, timeout=60)
    made.raise_for_status()
    body = b'{"texts": ["' + b"a" * (30 * MIB) + b'"]}'
    return [post(port, f"/v1/activations/{made.json()['id']}/query", body)]


def silent(sent: bytes, count: int) -> Attack:
    """`count` connections that send these bytes and then nothing, until the server cuts them."""

    def attack(port: int) -> list[int]:
        with ExitStack() as stack:
            address = ("127.0.0.1", port)
            opened = [stack.enter_context(socket.create_connection(address, 60)) for _ in range(count)]
            for connection in opened:
                connection.sendall(sent)
            return [status(connection) for connection in opened]

    return attack


def status(connection: socket.socket) -> int:
    """The status of the answer; 0 where the connection was cut without one."""
    with suppress(ConnectionResetError):
        return int((connection.recv(65_536).split() or [b"", b"0"])[1])
    return 0


def nothing(_port: int) -> list[int]:
    """No request: what the probes measure by themselves."""
    return []


ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "1 small evaluation": bodies(EVALUATE, evaluation(b"[0]")),
    "32 MB of [0],[0],…": bodies(EVALUATE, evaluation(b"[0]," * (8 * MIB - 100) + b"[0]")),
    "4 MB of [0],[0],… at the limit": bodies(EVALUATE, evaluation(b"[0]," * 999_990 + b"[0]")),
    "4 MB of wrong values": bodies(EVALUATE, evaluation(b'["a"],' * 999_990 + b"[0]")),
    "30 MB of [[[[…": bodies(EVALUATE, b"[" * (30 * MIB)),
    "30 MB of one string": bodies(EVALUATE, b'{"queries": "' + b"a" * (30 * MIB) + b'"}'),
    "30 MB of escapes": bodies(EVALUATE, b'{"queries": "' + b"\\u00e9" * (5 * MIB) + b'"}'),
    "a job of 8 MB of [0],[0],…": bodies(JOBS, b'{"kind": "x", "spec": {"a": [' + b"[0]," * (2 * MIB - 20) + b"0]}}"),
    "a job with a string of 8 MB": bodies(JOBS, b'{"kind": "x", "spec": {"a": "' + b"a" * (8 * MIB - 99) + b'"}}'),
    "a job of 19,000 unknown fields": bodies(
        f"{JOBS}/estimate",
        b'{"kind": "extraction", "spec": {}'
        + b"".join(b', "chunk_tokens_%05d": 1' % at for at in range(19_000))
        + b"}",
    ),
    "1 legal evaluation at the limit": bodies(EVALUATE, legal()),
    "8 legal evaluations at the limit": bodies(EVALUATE, legal(), 8),
    "50 small evaluations at once": bodies(EVALUATE, evaluation(b"[0.5]," * 200 + b"[0.5]"), 50),
    "a question of 30 MB": query,
    "400 half-open connections": silent(HEAD % 10, 400),
    "20 stalled bodies of 33 MB": silent(HEAD % 33_000_000 + b"\r\n" + b" " * MIB, 20),
}
