"""The API process: `radius api`, or `python -m service.server --fd N` on a socket that the supervisor opened."""

from __future__ import annotations

import argparse
import socket
import tempfile

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.connections import bounded_by, raise_descriptor_limit
from service.logs.setup import begin_logging
from service.permissions import keep_files_private
from service.processes import open_standard_streams
from service.serving import serve_until_stopped
from service.settings import Settings


def main() -> None:
    """Serve on an inherited socket until SIGTERM."""
    open_standard_streams()
    keep_files_private()
    parser = argparse.ArgumentParser(prog="radius api")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket, inherited")
    serve(Settings(), socket.socket(fileno=parser.parse_args().fd))


def serve(settings: Settings, listening: socket.socket) -> None:
    """Serve on `listening` until SIGTERM."""
    begin_logging(settings, "api")
    settings.make_folders()
    # Uploads are spooled in the data directory, because /tmp may be too small.
    tempfile.tempdir = str(settings.uploads_root)
    raise_descriptor_limit(settings)
    serve_until_stopped(server_config(settings, create_app(settings)), [listening])


def server_config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """The server configuration of `app`: connections are bounded."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        http=bounded_by(settings),
        ws="none",
    )


if __name__ == "__main__":
    main()
