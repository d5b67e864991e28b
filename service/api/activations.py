"""`/v1/activations`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.problems import RESPONSES
from service.api.services import PageDep, Services, ServicesDep
from service.api.uploads import save_upload
from service.artifacts.activation_set import ActivationSet, catalog_row
from service.artifacts.atomic import publish_folder
from service.artifacts.importing import import_vectors
from service.catalog import activations
from service.contracts.activations import ActivationDetail, ActivationRow, ActivationSummary
from service.contracts.base import Identifier, Name, Page
from service.errors import InvalidInput
from service.ids import new_id
from service.provenance import provenance

router = APIRouter(prefix="/v1/activations", tags=["activations"], route_class=StrictRoute, responses=RESPONSES)


@router.post("", status_code=201)
def import_activations(
    services: ServicesDep,
    response: Response,
    file: Annotated[UploadFile, File(description="2-D float16, float32 or float64, .npy or .safetensors")],
    name: Annotated[Name, Form()] = "imported",
) -> ActivationSummary:
    """Import a user's own vectors: checked, hashed and stored in their dtype."""
    set_id = new_id("act")
    staging = services.settings.artifacts_root / ".staging" / set_id
    upload = services.settings.uploads_root / f"{set_id}.upload"
    try:
        save_upload(file, upload)
        about = {"id": set_id, "name": name, "provenance": provenance(("numpy", "safetensors"))}
        import_vectors(upload, staging, about)
        folder = services.settings.artifacts_root / set_id
        publish_folder(staging, folder)
    finally:
        upload.unlink(missing_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
    with services.catalog.begin() as connection:
        activations.publish(connection, catalog_row(folder))
    response.headers["Location"] = f"/v1/activations/{set_id}"
    return _find(services, set_id)[0]


@router.get("")
def list_activations(services: ServicesDep, page: PageDep) -> Page[ActivationSummary]:
    """Published activation sets, newest first."""
    with services.catalog.read() as connection:
        data, following = activations.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{set_id}")
def get_activations(set_id: Identifier, services: ServicesDep) -> ActivationDetail:
    """Manifest and statistics."""
    summary, stored = _find(services, set_id)
    with services.catalog.read() as connection:
        _, statistics = activations.get(connection, set_id)
    return ActivationDetail(**summary.model_dump(), statistics=statistics, manifest=stored.manifest)


@router.get("/{set_id}/rows")
def list_rows(
    set_id: Identifier,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1)] = 50,
    after: Annotated[int | None, Query(ge=-1, le=2**53, description="the row before the page's first")] = None,
    vectors: Annotated[bool, Query(description="include the vectors")] = False,
) -> Page[ActivationRow]:
    """Rows with their document, offset, token and text."""
    if limit > services.settings.max_page:
        raise InvalidInput(f"limit is at most {services.settings.max_page}", field="limit")
    _, stored = _find(services, set_id)
    start = 0 if after is None else after + 1
    wanted = list(range(start, min(start + limit, stored.n)))
    following = str(wanted[-1]) if wanted and wanted[-1] + 1 < stored.n else None
    return Page(data=stored.rows(wanted, vectors=vectors), next=following)


@router.get("/{set_id}/files/{name}", response_class=FileResponse)
def get_file(set_id: Identifier, name: Identifier, services: ServicesDep) -> FileResponse:
    """A file of the set, whole or by `Range`; its SHA-256 is checked first."""
    _, stored = _find(services, set_id)
    path: Path = stored.folder / name if name == "manifest.json" else stored.file(name)
    return FileResponse(path, media_type="application/octet-stream", filename=name)


def _find(services: Services, set_id: str) -> tuple[ActivationSummary, ActivationSet]:
    with services.catalog.read() as connection:
        summary, _ = activations.get(connection, set_id)
    return summary, ActivationSet(services.settings.artifacts_root / set_id, summary.sha256)
