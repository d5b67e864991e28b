"""A service with keys in which one project has an object of every kind, and the keys of those who ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from service.catalog import jobs, profiles, reproductions, sweeps, training
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.ids import derived_id, new_id
from service.keys import create_key, remove_key
from service.settings import Settings
from tests.api.products import evaluate, insert_job, insert_run, publish_report
from tests.api.support import client_of

OURS, THEIRS = "default", "theirs"
TEXT = b"a secret sentence of our project\n" * 20
SECRET = "a secret sentence"


@dataclass(frozen=True)
class Projects:
    """The service, the objects of the project `OURS` by what routes call them, and headers by who sends them."""

    client: TestClient
    settings: Settings
    objects: dict[str, str]
    senders: dict[str, dict[str, str]]

    def send(self, sender: str, method: str, path: str, **request: Any) -> Any:
        headers = self.senders[sender] | request.pop("headers", {})
        return self.client.request(method, path, headers=headers, **request)


@contextmanager
def two_projects(settings: Settings, keys_file: Path) -> Iterator[Projects]:
    """`settings` name `keys_file`; nothing is in either yet."""
    senders = {"no key": {}, "wrong key": _bearer("radius_" + "A" * 43)}
    senders["owner"] = _bearer(create_key(keys_file, "owner", OURS, "write"))
    senders["reader"] = _bearer(create_key(keys_file, "reader", OURS, "read"))
    senders["administrator"] = _bearer(create_key(keys_file, "administrator", OURS, "admin"))
    senders["stranger"] = _bearer(create_key(keys_file, "stranger", THEIRS, "write"))
    senders["expired"] = _bearer(create_key(keys_file, "expired", OURS, "admin", "1h"))
    senders["revoked"] = _bearer(create_key(keys_file, "revoked", OURS, "admin"))
    _expire(keys_file, "expired")
    remove_key(keys_file, "revoked")
    with client_of(settings) as client:
        made = Projects(client, settings, {}, senders)
        made.objects.update(_objects(made))
        yield made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _expire(file: Path, name: str) -> None:
    """As time does."""
    lines = file.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if f'"{name}"' in line)
    before, _, rest = lines[at].partition('"expires": "')
    lines[at] = before + '"expires": "2020-01-01T00:00:00+00:00' + rest[rest.index('"') :]
    file.write_text("\n".join(lines) + "\n")


def _objects(made: Projects) -> dict[str, str]:
    settings, published = made.settings, publish_report(made.settings)
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        other = insert_job(catalog, {"activations": [published.activations]}, "energy")
        energy = evaluate(settings, catalog, other, [published.activations])
        found = {"job_id": published.job, "set_id": published.activations, "radius": published.report}
        found |= {"energy": energy, "run_id": insert_run(catalog), "sweep_id": _sweep(catalog)}
        found |= {"profile_id": _profile(catalog, published.job), "reproduction_id": _reproduction(catalog)}
        with catalog.begin() as connection:
            jobs.finish(connection, other, "succeeded")
            training.record(connection, found["run_id"], [], view_step=1, view_sha256="0")
            training.keep_checkpoint(connection, found["run_id"], 10, "0")
    corpus = made.send("owner", "POST", "/v1/corpora", files={"file": ("our.txt", TEXT)}, data={"name": "our-corpus"})
    assert corpus.status_code == 201, corpus.text
    spec = {"model": "openai-community/gpt2", "corpus": "our-corpus", "chunks": 10}
    reading = made.send("owner", "POST", "/v1/jobs", json={"kind": "extraction", "spec": spec})
    assert reading.status_code == 202, reading.text
    return found | {"corpus_id": corpus.json()["id"], "reading_job": reading.json()["id"]}


def _sweep(catalog: Catalog) -> str:
    job_id = insert_job(catalog, {}, "sweep")
    row: dict[str, Any] = {"id": new_id("sweep"), "job": job_id, "name": "a sweep", "experiment": "openelm"}
    row |= {"spec": {}, "cells": [], "notes": [], "created_at": now(), "view_step": 1, "view_sha256": "0"}
    with catalog.begin() as connection:
        sweeps.register(connection, row)
    return row["id"]


def _profile(catalog: Catalog, job_id: str) -> str:
    row: dict[str, Any] = {"id": derived_id("profile", job_id), "job": job_id, "name": "a profile", "d_model": 3}
    with catalog.begin() as connection:
        profiles.publish(connection, row | {"n": 40, "sites": 2, "sha256": "0", "created_at": now()})
    return row["id"]


def _reproduction(catalog: Catalog) -> str:
    job_id = insert_job(catalog, {}, "reproduction")
    row: dict[str, Any] = {"id": derived_id("reproduction", job_id), "job": job_id, "name": "claims", "scale": "smoke"}
    row |= {"model": "tiny", "corpus": "python-docs", "verdicts": {"P1": "reproduced"}, "complete": True}
    with catalog.begin() as connection:
        reproductions.publish(connection, row | {"view_step": 1, "view_sha256": "0", "created_at": now()})
    return row["id"]
