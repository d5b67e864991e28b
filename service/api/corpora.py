"""`/v1/corpora`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from service.api.bodies import StrictRequest, StrictRoute
from service.api.json_reading import parse_json
from service.api.problems import RESPONSES
from service.api.services import PageDep, Services, ServicesDep
from service.api.uploads import declared_bytes, is_multipart, received_form
from service.artifacts.atomic import publish_file
from service.catalog import corpora
from service.contracts.base import Identifier, Page
from service.contracts.corpora import ENDINGS, Corpus, CorpusRequest, CorpusSource, UploadFields, known_ending
from service.contracts.reading import read_contract
from service.errors import InvalidInput
from service.ids import new_id
from service.jobs.corpora import delete_corpus as delete
from service.links import link
from service.paths import leaves_root
from service.settings import Settings

router = APIRouter(prefix="/v1/corpora", tags=["corpora"], route_class=StrictRoute, responses=RESPONSES)
_UPLOAD = UploadFields.model_json_schema()
_UPLOAD["properties"]["file"] = {"type": "string", "format": "binary", "description": "one " + ", ".join(ENDINGS)}
_UPLOAD["required"] = ["file"]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CorpusRequest.model_json_schema()},
            "multipart/form-data": {"schema": _UPLOAD},
        },
    }
}


@router.post("", status_code=201, openapi_extra=_BODY)
async def create_corpus(request: StrictRequest, response: Response, services: ServicesDep) -> Corpus:
    """Register text under the corpora root, a hub data set or a built-in, as JSON; or upload a file, as multipart.

    A worker counts documents and bytes and computes the SHA-256; a small corpus is counted when this answers, a large
    one is `scanning` for a while. Jobs may name it at once.
    """
    if is_multipart(request):
        corpus_id = await _upload(request, services)
    else:
        body = read_contract(CorpusRequest, await _json(request, services.settings))
        source = CorpusSource(**body.model_dump(exclude={"name"}))
        await run_in_threadpool(_check_path, services, source)
        corpus_id = await run_in_threadpool(services.submission.register_corpus, body.name, source)
    corpus = await _when_counted(services, corpus_id)
    response.headers["Location"] = link(f"/v1/corpora/{corpus.id}")
    return corpus


@router.get("")
def list_corpora(services: ServicesDep, page: PageDep) -> Page[Corpus]:
    """Registered corpora, newest first."""
    with services.catalog.read() as connection:
        data, following = corpora.page(connection, page.limit, page.after)
    return Page(data=data, next=following)


@router.get("/{corpus_id}")
def get_corpus(corpus_id: Identifier, services: ServicesDep) -> Corpus:
    """One corpus, by id or name."""
    with services.catalog.read() as connection:
        return corpora.find(connection, corpus_id)


@router.delete("/{corpus_id}", status_code=204)
def delete_corpus(corpus_id: Identifier, services: ServicesDep) -> None:
    """Remove a corpus, also while it is being counted, and the file uploaded for it; files under the root stay.

    409 while a job that has not ended reads it. Activation sets of it stay, with their texts.
    """
    delete(services.catalog, services.control.engine, services.settings, corpus_id)


async def _json(request: StrictRequest, settings: Settings) -> Any:
    """The body, within the limit of JSON, as the route's own limit is that of uploads."""
    body = await request.read_json(settings.max_json_values, settings.max_json_bytes)
    try:
        return parse_json(body)
    except json.JSONDecodeError as error:
        raise InvalidInput("the body is not JSON", field="body") from error


async def _upload(request: Request, services: Services) -> str:
    await run_in_threadpool(services.submission.check_storage, declared_bytes(request))
    form_of = {"files": ["file"], "fields": list(UploadFields.model_fields)}
    async with received_form(request, services.settings, **form_of) as form:
        file = form.files.get("file")
        if file is None:
            raise InvalidInput("the form has no file", field="file")
        ending = known_ending(file.client_name)
        if ending is None:
            raise InvalidInput("the file's name must end in " + ", ".join(ENDINGS), field="file")
        if file.size == 0:
            raise InvalidInput("the file is empty", field="file")
        body = read_contract(UploadFields, {key: _value(key, given) for key, given in form.fields.items()})
        await run_in_threadpool(services.submission.check_storage, file.size)
        corpus_id = new_id("corpus")
        target = services.settings.uploads_root / f"{corpus_id}{ending}"
        await run_in_threadpool(publish_file, file.path, target)
    source = CorpusSource(**body.model_dump(exclude={"name"}), upload=target.name)
    try:
        return await run_in_threadpool(services.submission.register_corpus, body.name, source, corpus_id)
    except Exception:
        await run_in_threadpool(target.unlink, missing_ok=True)
        raise


def _value(name: str, given: Any) -> Any:
    """The value of a form field, which is text; `true` and `false` are values of switches."""
    is_switch = name in UploadFields.model_fields and UploadFields.model_fields[name].annotation is bool
    return {"true": True, "false": False}.get(given, given) if is_switch and isinstance(given, str) else given


def _check_path(services: Services, source: CorpusSource) -> None:
    """Refuse a path that a worker would refuse later."""
    if source.path is None:
        return
    if leaves_root(source.path):
        raise InvalidInput("the path must lie under the corpora root (RADIUS_CORPORA_DIR)", field="path")
    try:
        there = (services.settings.corpora_root / source.path).exists()
    except OSError:  # the name is longer than the file system allows
        there = False
    if not there:
        raise InvalidInput("there is nothing at that path under the corpora root (RADIUS_CORPORA_DIR)", field="path")


async def _when_counted(services: Services, corpus_id: str) -> Corpus:
    deadline = time.monotonic() + services.settings.corpus_scan_wait_s
    while True:
        corpus = await run_in_threadpool(get_corpus, corpus_id, services)
        if corpus.state != "scanning" or time.monotonic() >= deadline:
            return corpus
        await asyncio.sleep(0.05)
