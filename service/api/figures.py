"""Figures of published reports, as files."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from fastapi import Response
from fastapi.responses import FileResponse

from service.api.files import file_response
from service.artifacts.manifest import ArtifactFolder

MEDIA: dict[str, str] = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
FIGURE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {} for media in MEDIA.values()}, "description": "the figure"}
}
Ending = Literal["png", "svg", "pdf"]


def figure_response(folder: ArtifactFolder, ending: Ending) -> FileResponse:
    """The report's figure; its SHA-256 is checked first."""
    return file_response(folder, f"figure.{ending}", MEDIA[ending])


def drawn_response(drawn: bytes, ending: Ending) -> Response:
    """A figure that is the same for everyone until a version draws it otherwise."""
    headers = {"ETag": f'"{hashlib.sha256(drawn).hexdigest()}"', "Cache-Control": "private, max-age=3600"}
    return Response(drawn, media_type=MEDIA[ending], headers=headers)
