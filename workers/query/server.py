"""HTTP on a Unix socket that only this user can open. One query is computed at a time, because it uses all cores.

A figure is drawn beside it, once: it is the same for everyone. A query whose connection was closed is not continued.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.catalog.engine import Catalog
from service.contracts.query import QueryRequest
from service.errors import Cancelled, NotFound, RadiusError
from service.logs.requests import RequestLog
from service.serving import DISCONNECT_POLL_S, serve_until_stopped
from service.settings import Settings
from service.unix_sockets import listen
from workers.devices.device import set_precise_float32
from workers.query.answering import answer
from workers.query.resident import ResidentSets

logger = logging.getLogger("radius.query")


class QueryServer:
    """The worker's state and its three routes."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.settings, self.sets = settings, ResidentSets(settings, catalog)
        self._busy, self._drawing = threading.Lock(), threading.Lock()
        self._drawn: dict[str, bytes] = {}

    def app(self) -> Starlette:
        routes = [
            Route("/projects/{project}/activations/{set_id}/query", self.query, methods=["POST"]),
            Route("/figure1.{ending}", self.figure1),
            Route("/healthz", self.health),
        ]
        handlers = {RadiusError: _problem, Exception: _unexpected}
        return Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(RequestLog)])

    async def query(self, request: Request) -> Response:
        """Answer a `QueryRequest`, which the API has validated."""
        try:
            query = QueryRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise NotFound("the body is not one that the API sends") from error
        disconnected = threading.Event()
        watching = asyncio.create_task(_watch(request, disconnected))
        try:
            return await run_in_threadpool(self._answer, request.path_params, query, disconnected)
        finally:
            watching.cancel()

    async def figure1(self, request: Request) -> Response:
        """Fig. 1 in one format."""
        return await run_in_threadpool(self._draw, request.path_params["ending"])

    async def health(self, _request: Request) -> Response:
        """200 while the process serves."""
        return JSONResponse({"status": "ok"})

    def _answer(self, names: dict[str, str], query: QueryRequest, disconnected: threading.Event) -> Response:
        def check(_share: float = 0.0) -> None:
            if disconnected.is_set():
                raise Cancelled("the client has disconnected")

        with self._busy:
            check()
            found = answer(*self.sets.get(names["set_id"], names["project"]), query, self.settings, check)
        return Response(found.model_dump_json(), media_type="application/json")

    def _draw(self, ending: str) -> Response:
        from workers.figures.figure1 import draw_figure1  # matplotlib, which few requests need

        with self._drawing:
            if not self._drawn:
                with tempfile.TemporaryDirectory() as folder:
                    paths = draw_figure1(Path(folder) / "figure1")
                    self._drawn = {path.suffix: path.read_bytes() for path in paths}
        if f".{ending}" not in self._drawn:
            raise NotFound("no such format")
        return Response(self._drawn[f".{ending}"])


def serve(settings: Settings, catalog: Catalog, at_end: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM, then call `at_end`."""
    set_precise_float32(settings.torch_threads)
    app = QueryServer(settings, catalog).app()
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    serve_until_stopped(config, [listen(settings.query_socket)], at_end)  # this process holds the worker's lock


async def _watch(request: Request, disconnected: threading.Event) -> None:
    """Set `disconnected` when the connection is closed."""
    while not await request.is_disconnected():
        await asyncio.sleep(DISCONNECT_POLL_S)
    disconnected.set()


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RadiusError)
    return JSONResponse(error.as_dict(), error.status)


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("unexpected error", exc_info=error)
    body = {"code": "internal", "detail": "an unexpected error; the query worker's log has the trace"}
    return JSONResponse(body, 500)
