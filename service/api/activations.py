"""`/v1/activations`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from service.api.bodies import StrictRoute
from service.api.files import file_response, tag_report
from service.api.problems import RESPONSES
from service.api.services import LimitDep, PageDep, Services, ServicesDep
from service.api.uploads import UploadedFile, check_space, declared_bytes, received_form
from service.artifacts.activation_set import catalog_row
from service.artifacts.atomic import publish_folder
from service.artifacts.importing import import_vectors
from service.catalog import activations
from service.contracts.activations import ActivationDetail, ActivationRow, ActivationSummary, ImportFields
from service.contracts.base import Identifier, Page, Problem
from service.contracts.reading import read_contract
from service.errors import InvalidInput
from service.ids import new_id
from service.jobs.imports import delete_import
from service.links import link
from service.provenance import provenance

router = APIRouter(prefix="/v1/activations", tags=["activations"], route_class=StrictRoute, responses=RESPONSES)
_NUMBER_BYTES = 20  # of a number in JSON
_BINARY = "application/octet-stream"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {_BINARY: {}}, "description": "the file"},
    206: {"content": {_BINARY: {}}, "description": "the part that `Range` names"},
    416: {"model": Problem, "description": "no such range"},
}


_FILES = {
    "file": "2-D floats, .npy or .safetensors (where bfloat16 is widened)",
    "ids": "UTF-8 text: an id for each row, one a line",
    "labels": "UTF-8 text: a label for each row, one a line",
}
_FORM = ImportFields.model_json_schema()
_FORM["properties"] |= {
    name: {"type": "string", "format": "binary", "description": text} for name, text in _FILES.items()
}
_FORM["required"] = ["file"]
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}


@router.post("", status_code=201, openapi_extra=_BODY)
async def import_activations(request: Request, services: ServicesDep, response: Response) -> ActivationSummary:
    """Import a user's own vectors: checked, hashed and stored in their dtype."""
    await run_in_threadpool(services.submission.check_storage, declared_bytes(request))
    async with received_form(request, services.settings, files=_FILES, fields=ImportFields.model_fields) as form:
        if "file" not in form.files:
            raise InvalidInput("the form has no file", field="file")
        fields = read_contract(ImportFields, form.fields)
        stored = await run_in_threadpool(_import, services, form.files, fields)
    response.headers["Location"] = link(f"/v1/activations/{stored.id}")
    return stored


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
    """Rows with their document, offset, token and text; a page with vectors may be shorter than `limit`."""
    _, _, stored = services.stored_set(set_id)
    start = 0 if after is None else after + 1
    if vectors:
        limit = min(limit, max(1, services.settings.max_page_bytes // (_NUMBER_BYTES * stored.d_model)))
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


def _import(services: Services, files: Mapping[str, UploadedFile], fields: ImportFields) -> ActivationSummary:
    set_id, settings = new_id("act"), services.settings
    staging, folder = settings.staging_root / set_id, settings.artifacts_root / set_id
    check_space(settings, files["file"].size)  # the set is written beside the upload
    services.submission.check_storage(sum(file.size for file in files.values()))
    recorded = False
    try:
        about = {"id": set_id, "name": fields.name, "provenance": provenance(("numpy", "safetensors"))}
        names = {name: files[name].path for name in ("ids", "labels") if name in files}
        most = settings.max_d_model
        import_vectors(files["file"].path, staging, about, tensor=fields.tensor, most_d_model=most, **names)
        publish_folder(staging, folder)
        with services.catalog.begin() as connection:
            activations.publish(connection, catalog_row(folder))
            recorded = True
    except BaseException:
        if not recorded:  # else the row may have been committed; clean-up deletes a folder that no row names
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return services.stored_set(set_id)[0]
