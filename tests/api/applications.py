"""Applications whose routes are made once for many tests: making them takes longer than most tests do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from service.addresses import is_loopback
from service.api.services import build_services
from service.app import create_app
from service.settings import Settings

_free = defaultdict[str, list[FastAPI]](list)


@contextmanager
def application_of(settings: Settings) -> Iterator[FastAPI]:
    """The application for `settings`, for this block alone.

    Only its services know the data directory and the database. An application that asks for keys is made anew, as it
    keeps the place of its keys.
    """
    if settings.api_keys_file is not None or not is_loopback(settings.host):
        yield create_app(settings)
        return
    alike = _free[settings.model_dump_json(exclude={"data_dir", "database_url"})]
    if alike:
        app = alike.pop()
        app.state.services = build_services(settings)
    else:
        app = create_app(settings)
    yield app
    alike.append(app)
