"""The API process: `radius api`, or `python -m service.server --fd N` on a socket that the supervisor opened."""

from __future__ import annotations

import argparse
import socket
import tempfile

import uvicorn

from service.api import audit
from service.app import create_app
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
    audit.write_to_standard_error()
    # Uploads are spooled in the data directory, because /tmp may be too small.
    tempfile.tempdir = str(settings.uploads_root)
    config = uvicorn.Config(
        create_app(settings), log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=5
    )
    serve_until_stopped(config, [listening])


if __name__ == "__main__":
    main()
