"""Files and reports of published folders, with an ETag from the SHA-256 of what they contain."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import FileResponse

from service import __version__
from service.artifacts.manifest import ArtifactFolder

_REVALIDATED = "private, no-cache"  # kept by the client, which revalidates it each time


def file_response(
    folder: ArtifactFolder,
    name: str,
    media_type: str,
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> FileResponse:
    """A file of the folder, with `headers` beside its ETag; its SHA-256 is checked first.

    Raises:
        NotFound: the manifest has no such file.
        CorruptArtifact: it is not the file that was recorded.
    """
    path = folder.file(name)
    tagged = {"ETag": f'"{folder.digest(name)}"', "Cache-Control": _REVALIDATED}
    return FileResponse(path, media_type=media_type, filename=filename, headers={**(headers or {}), **tagged})


def tag_report(response: Response, folder: ArtifactFolder) -> None:
    """Give an answer made from a folder an ETag: of the folder, and of the version that makes the answer from it."""
    response.headers["ETag"] = f'"{folder.sha256}-{__version__}"'
    response.headers["Cache-Control"] = _REVALIDATED
