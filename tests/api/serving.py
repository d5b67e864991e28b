"""A real server on loopback, in a thread, for the tests of the client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.app import create_app
from service.catalog.engine import Catalog
from service.server import server_config
from service.serving import Server as ApiServer
from service.settings import Settings
from tests.api.products import Published


@dataclass(frozen=True)
class Server:
    """Where it listens, and what it has."""

    url: str
    catalog: Catalog
    published: Published


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(settings: Settings, published: Published) -> Iterator[Server]:
    """Serve `settings` as `service.server` does, without a process of its own."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = create_app(settings)
    config = server_config(settings, app)
    config.timeout_graceful_shutdown = 2
    server = ApiServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}", app.state.services.catalog, published)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listening.close()
