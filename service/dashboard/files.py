"""Styles and scripts of the pages, and Plotly's script from its installed package."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

FOLDER = "/static"
STATIC = Mount(FOLDER, StaticFiles(directory=Path(__file__).parent / "static"), name="static")
router = APIRouter(include_in_schema=False)


@cache
def _plotly() -> tuple[Path, str]:
    """The script and the ETag of its version; the package is found without importing it."""
    found = find_spec("plotly")
    assert found is not None, "plotly is a dependency"
    assert found.origin is not None, "plotly is installed as a package"
    return Path(found.origin).parent / "package_data" / "plotly.min.js", f'"plotly-{version("plotly")}"'


@router.get(f"{FOLDER}/plotly.js", response_class=FileResponse)
def get_plotly() -> FileResponse:
    """Plotly, which draws the charts; read once by a browser."""
    path, tag = _plotly()
    headers = {"Cache-Control": "private, max-age=604800", "ETag": tag}
    return FileResponse(path, media_type="text/javascript", headers=headers)
