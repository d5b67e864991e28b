"""Serving HTTP until SIGTERM, which ends the process with exit code 0."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable

import uvicorn

logger = logging.getLogger("radius.serving")


def serve_until_stopped(
    config: uvicorn.Config, sockets: list[socket.socket] | None = None, at_end: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM: open requests are answered within the server's time limit, and the exit code is 0.

    uvicorn raises the signal again once it has stopped. The process then ends at once, because a thread that still
    works would keep it alive.
    """

    def end(*_: object) -> None:
        at_end()
        logger.info("stopped")
        logging.shutdown()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    uvicorn.Server(config).run(sockets=sockets)
