"""The REST application. It never runs a model, a search or a plot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from service import __version__
from service.addresses import is_loopback
from service.api import (
    about,
    activations,
    corpora,
    energy,
    jobs,
    problems,
    profiles,
    queries,
    radius,
    sites,
    sweeps,
    theory,
    training,
)
from service.api.guards import ApiKeyMiddleware, HostMiddleware, ProblemMiddleware, SameSiteMiddleware
from service.api.services import build_services
from service.keys import ApiKeys
from service.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application for `settings`; the database must have been migrated."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.services.close()

    app = FastAPIOffline(  # its documentation pages load nothing from another host
        title="Radius",
        version=__version__,
        summary="How far apart are the memories of a Transformer?",
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.services = build_services(settings)
    for part in (jobs, radius, profiles, theory, training, sweeps, about, sites):
        app.include_router(part.router, max_body_size=settings.max_json_bytes)
    for part in (energy, queries):
        app.include_router(part.router, max_body_size=settings.max_evaluate_bytes)
    for part in (corpora, activations):
        app.include_router(part.router, max_body_size=settings.max_upload_bytes)
    problems.install(app)
    app.openapi = lambda: problems.describe(app)
    # Pages of other sites must not reach a server on loopback, neither by DNS rebinding nor by a cross-site form.
    app.add_middleware(SameSiteMiddleware)
    # With a keys file in the settings, or on a public address, a key is required even if the file is missing.
    if settings.api_keys_file is not None or not is_loopback(settings.host):
        app.add_middleware(ApiKeyMiddleware, keys=ApiKeys(settings.api_keys_file))
    app.add_middleware(HostMiddleware, patterns=settings.request_hosts)
    app.add_middleware(ProblemMiddleware)
    return app
