"""A hub of one model on loopback, with the routes that the hub's own library requests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """`requests` has the paths that were requested, in their order."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.requests = name, folder, list[str]()

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        api, files = f"/api/models/{self.name}", {file.name: file.read_bytes() for file in self.folder.iterdir()}
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            return 200, json.dumps(self._info(files)).encode(), {"content-type": "application/json"}
        if path.startswith(f"{api}/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in files.items()
            ]
            return 200, json.dumps(tree).encode(), {"content-type": "application/json"}
        resolved = f"/{self.name}/resolve/{COMMIT}/"
        if path.startswith(resolved) and path.removeprefix(resolved) in files:
            body = files[path.removeprefix(resolved)]
            return 200, body, {"etag": f'"{hashlib.sha1(body).hexdigest()}"', "x-repo-commit": COMMIT}
        code = "RevisionNotFound" if path.startswith(api) else "RepoNotFound"
        return 404, b"{}", {"x-error-code": code}

    def _info(self, files: dict[str, bytes]) -> dict[str, Any]:
        return {"id": self.name, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}


@contextmanager
def serve_hub(hub: Hub) -> Iterator[str]:
    """The address of a running hub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.requests.append(self.path)
            status, body, headers = hub.answer(self.path.split("?")[0])
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815, the base class's name

        def log_message(self, format: str, *args: Any) -> None:
            """No log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
