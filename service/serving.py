"""Serving HTTP until SIGTERM, which ends the process with exit code 0."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable

import uvicorn

logger = logging.getLogger("radius.serving")
DISCONNECT_POLL_S = 0.25  # between two checks that a client is still connected
_WAITING = 128  # connections that the kernel keeps until they are accepted


class Server(uvicorn.Server):
    """A server that accepts one connection for each event of the listening socket.

    asyncio takes `backlog` both for the kernel's queue and for how often it calls `accept` at an event. Without file
    descriptors each of those calls fails, is logged and sets a timer of its own for the next event, so that the timers
    multiply every second.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        config.backlog = 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_WAITING)


def serve_until_stopped(
    config: uvicorn.Config, sockets: list[socket.socket], at_end: Callable[[], None] = lambda: None
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
    Server(config).run(sockets=sockets)
