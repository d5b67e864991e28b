"""HTTP on a Unix socket that only this user can open. One query is computed at a time, because it uses all cores."""

from __future__ import annotations

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
from service.errors import NotFound, RadiusError
from service.logs.requests import RequestLog
from service.serving import serve_until_stopped
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
        self._busy = threading.Lock()

    def app(self) -> Starlette:
        routes = [
            Route("/activations/{set_id}/query", self.query, methods=["POST"]),
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
        return await run_in_threadpool(self._answer, request.path_params["set_id"], query)

    async def figure1(self, request: Request) -> Response:
        """Fig. 1 in one format."""
        return await run_in_threadpool(self._draw, request.path_params["ending"])

    async def health(self, _request: Request) -> Response:
        """200 while the process serves."""
        return JSONResponse({"status": "ok"})

    def _answer(self, set_id: str, query: QueryRequest) -> Response:
        with self._busy:
            found = answer(self.sets.get(set_id), query, self.settings)
        return Response(found.model_dump_json(), media_type="application/json")

    def _draw(self, ending: str) -> Response:
        from workers.figures.figure1 import draw_figure1  # matplotlib, which few requests need

        with self._busy, tempfile.TemporaryDirectory() as folder:
            drawn = {path.suffix: path.read_bytes() for path in draw_figure1(Path(folder) / "figure1")}
        if f".{ending}" not in drawn:
            raise NotFound("no such format")
        return Response(drawn[f".{ending}"])


def serve(settings: Settings, catalog: Catalog, at_end: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM, then call `at_end`."""
    set_precise_float32(settings.torch_threads)
    app = QueryServer(settings, catalog).app()
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    serve_until_stopped(config, [listen(settings.query_socket)], at_end)  # this process holds the worker's lock


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RadiusError)
    return JSONResponse(error.as_dict(), error.status)


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("unexpected error", exc_info=error)
    body = {"code": "internal", "detail": "an unexpected error; the query worker's log has the trace"}
    return JSONResponse(body, 500)
