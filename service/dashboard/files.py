"""Styles and scripts of the pages, and Plotly's script from its installed package."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

FOLDER = "/static"
STATIC = Mount(FOLDER, StaticFiles(directory=Path(__file__).parent / "static"), name="static")
router = APIRouter(include_in_schema=False)
_SCRIPT = "text/javascript"


@cache
def _plotly() -> tuple[Path, str]:
    """The script and its version; the package is found without importing it."""
    found = find_spec("plotly")
    assert found is not None, "plotly is a dependency"
    assert found.origin is not None, "plotly is installed as a package"
    return Path(found.origin).parent / "package_data" / "plotly.min.js", version("plotly")


@cache
def _compressed() -> bytes:
    """The script in less than a third of its bytes, for browsers far away."""
    return gzip.compress(_plotly()[0].read_bytes(), 6, mtime=0)


@router.get(f"{FOLDER}/plotly.js", response_class=FileResponse)
def get_plotly(request: Request) -> Response:
    """Plotly, which draws the charts; read once by a browser."""
    path, number = _plotly()
    headers = {"Cache-Control": "private, max-age=604800", "Vary": "Accept-Encoding", "ETag": f'"plotly-{number}"'}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(path, media_type=_SCRIPT, headers=headers)
    headers |= {"Content-Encoding": "gzip", "ETag": f'"plotly-{number}-gzip"'}
    return Response(_compressed(), media_type=_SCRIPT, headers=headers)
