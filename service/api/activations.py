"""`/v1/activations`."""

from __future__ import annotations

import shutil
from typing import Annotated, Any, cast

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.files import file_response, tag_report
from service.api.problems import RESPONSES
from service.api.services import LimitDep, PageDep, ServicesDep
from service.api.uploads import save_upload
from service.artifacts.activation_set import catalog_row
from service.artifacts.atomic import publish_folder
from service.artifacts.importing import import_vectors
from service.catalog import activations
from service.contracts.activations import ActivationDetail, ActivationRow, ActivationSummary
from service.contracts.base import Identifier, Name, Page, Problem, Text
from service.ids import new_id
from service.jobs.imports import delete_import
from service.links import link
from service.provenance import provenance

router = APIRouter(prefix="/v1/activations", tags=["activations"], route_class=StrictRoute, responses=RESPONSES)
_BINARY = "application/octet-stream"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {_BINARY: {}}, "description": "the file"},
    206: {"content": {_BINARY: {}}, "description": "the part that `Range` names"},
    416: {"model": Problem, "description": "no such range"},
}


@router.post("", status_code=201)
def import_activations(
    services: ServicesDep,
    response: Response,
    file: Annotated[UploadFile, File(description="2-D floats, .npy or .safetensors (where bfloat16 is widened)")],
    name: Annotated[Name, Form()] = "imported",
    tensor: Annotated[Text | None, Form(description="name of the tensor in a .safetensors file of several")] = None,
    ids: Annotated[UploadFile | None, File(description="UTF-8 text: an id for each row, one a line")] = None,
    labels: Annotated[UploadFile | None, File(description="UTF-8 text: a label for each row, one a line")] = None,
) -> ActivationSummary:
    """Import a user's own vectors: checked, hashed and stored in their dtype."""
    services.submission.check_storage(sum(part.size or 0 for part in (file, ids, labels) if part))
    set_id = new_id("act")
    staging = services.settings.staging_root / set_id
    folder = services.settings.artifacts_root / set_id
    uploads = {"upload": file, "ids": ids, "labels": labels}
    given = {kind: services.settings.uploads_root / f"{set_id}.{kind}" for kind, part in uploads.items() if part}
    recorded = False
    try:
        for kind, target in given.items():
            save_upload(cast(UploadFile, uploads[kind]), target)
        about = {"id": set_id, "name": name, "provenance": provenance(("numpy", "safetensors"))}
        names = {"ids": given.get("ids"), "labels": given.get("labels")}
        import_vectors(given["upload"], staging, about, tensor=tensor, **names)
        publish_folder(staging, folder)
        with services.catalog.begin() as connection:
            activations.publish(connection, catalog_row(folder))
            recorded = True
    except BaseException:
        if not recorded:  # else the row may have been committed; clean-up deletes a folder that no row names
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        for target in given.values():
            target.unlink(missing_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
    response.headers["Location"] = link(f"/v1/activations/{set_id}")
    return services.stored_set(set_id)[0]


@router.get("")
def list_activations(services: ServicesDep, page: PageDep) -> Page[ActivationSummary]:
    """Published activation sets, newest first."""
    with services.catalog.read() as connection:
        data, following = activations.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{set_id}")
def get_activations(set_id: Identifier, response: Response, services: ServicesDep) -> ActivationDetail:
    """Manifest and statistics."""
    summary, statistics, stored = services.stored_set(set_id)
    tag_report(response, stored)
    return ActivationDetail(**summary.model_dump(), statistics=statistics, manifest=stored.manifest)


@router.get("/{set_id}/rows")
def list_rows(
    set_id: Identifier,
    services: ServicesDep,
    limit: LimitDep,
    after: Annotated[int | None, Query(ge=-1, le=2**53, description="the row before the page's first")] = None,
    vectors: Annotated[bool, Query(description="include the vectors")] = False,
) -> Page[ActivationRow]:
    """Rows with their document, offset, token and text."""
    _, _, stored = services.stored_set(set_id)
    start = 0 if after is None else after + 1
    wanted = list(range(start, min(start + limit, stored.n)))
    following = str(wanted[-1]) if wanted and wanted[-1] + 1 < stored.n else None
    return Page(data=stored.rows(wanted, vectors=vectors), next=following)


@router.get("/{set_id}/files/{name}", response_class=FileResponse, responses=_FILE)
def get_file(set_id: Identifier, name: Identifier, services: ServicesDep) -> FileResponse:
    """A file of the set, whole or by `Range`; its SHA-256 is checked first."""
    _, _, stored = services.stored_set(set_id)
    return file_response(stored, name, _BINARY, filename=name)


@router.delete("/{set_id}", status_code=204)
def delete_activations(set_id: Identifier, services: ServicesDep) -> None:
    """Remove an imported set and its files.

    409 while a job reads it or has a report of it, and for a set that a job made, which goes with its job.
    """
    delete_import(services.catalog, services.settings, set_id)
