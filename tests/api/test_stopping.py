"""SIGTERM to a serving process: the request under way is answered, and the exit code says that nothing was wrong."""

# One database: signals to the process of the API.

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2

PROGRAM = """
import asyncio, socket, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from service.serving import serve_until_stopped

async def slow(request):
    print("asked", flush=True)
    await asyncio.sleep(1)
    return PlainTextResponse("done")

listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
print(listening.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/slow", slow)])
serve_until_stopped(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=20), [listening])
"""


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def test_a_stop_answers_what_is_under_way_and_is_no_failure():
    with serving() as (process, url), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx2.get, f"{url}/slow", timeout=30)
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        assert answer.result().text == "done"
        assert process.wait(timeout=30) == 0
