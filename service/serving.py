"""Serving HTTP until the process is told to stop, which is no failure."""

from __future__ import annotations

import logging
import os
import signal
import socket

import uvicorn


def serve_until_stopped(config: uvicorn.Config, sockets: list[socket.socket] | None = None) -> None:
    """Serve until SIGTERM: what is under way is answered, within the server's own limit, and the exit code is 0.

    uvicorn raises the signal again once it has stopped. A thread that is still at work must not keep the process, so
    nothing is waited for then.
    """

    def end(*_: object) -> None:
        logging.shutdown()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    uvicorn.Server(config).run(sockets=sockets)
