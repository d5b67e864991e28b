"""A port before a server: it is away for a while, or answers some requests otherwise, as during a restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from tests.api.serving import free_port

BUSY, LOST = "503 with Retry-After", "passed on, and its answer is lost"


@dataclass
class Front:
    """What it does with the next requests, after which it passes them on; `seen` has their methods and paths."""

    server: str
    script: list[str] = field(default_factory=list)
    retry_after: str = "0"
    port: int = field(default_factory=free_port)
    seen: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def front(server: str, *script: str, retry_after: str = "0", away_s: float = 0.0) -> Iterator[Front]:
    """A front for the server at that URL; connections are refused for `away_s`."""
    made = Front(server, list(script), retry_after)
    stop = threading.Event()
    thread = threading.Thread(target=_listen, args=(made, away_s, stop), daemon=True)
    thread.start()
    try:
        if not away_s:
            assert made.open.wait(10)
        yield made
    finally:
        stop.set()
        thread.join(10)


def _listen(made: Front, away_s: float, stop: threading.Event) -> None:
    stop.wait(away_s)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            made.seen.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            does = made.script.pop(0) if made.script else None
            if does == BUSY:
                self.send_response(503)
                self.send_header("Retry-After", made.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            found = onward.request(self.command, made.server + self.path, headers=kept, content=body)
            if does != LOST:
                self.send_response(found.status_code)
                for name in ("Content-Type", "Retry-After"):
                    if name in found.headers:
                        self.send_header(name, found.headers[name])
                self.send_header("Content-Length", str(len(found.content)))
                self.end_headers()
                self.wfile.write(found.content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    client = httpx2.Client(timeout=30, trust_env=False, verify=False)
    with client as onward, ThreadingHTTPServer(("127.0.0.1", made.port), Handler) as listening:
        serving = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        made.open.set()
        stop.wait()
        listening.shutdown()
        serving.join(10)
