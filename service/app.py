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
    operations,
    problems,
    profiles,
    queries,
    radius,
    reproductions,
    sites,
    sweeps,
    theory,
    training,
)
from service.api.audit import AuditMiddleware
from service.api.authorisation import describe_security
from service.api.conditional import BodilessMiddleware
from service.api.guards import ApiKeyMiddleware, HostMiddleware, ProblemMiddleware, SameSiteMiddleware
from service.api.proxies import ForwardedMiddleware, RootPathMiddleware, RoutedBelowMiddleware
from service.api.response_headers import HeadersMiddleware
from service.api.services import build_services
from service.dashboard import asking, experiments, files, login, overview, results
from service.key_uses import KeyUses
from service.keys import ApiKeys
from service.logs.requests import RequestLog
from service.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The application for `settings`; the database must have been migrated."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.services.close()

    def observe(method: str, route: str, status: int, seconds: float) -> None:
        app.state.services.metrics.requests.observe(method, route, status, seconds)

    app = FastAPIOffline(  # its documentation pages load nothing from another host
        title="Radius",
        version=__version__,
        summary="How far apart are the memories of a Transformer?",
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.services = build_services(settings)
    for part in (jobs, radius, profiles, theory, training, sweeps, reproductions, about, operations, sites):
        app.include_router(part.router, max_body_size=settings.max_json_bytes)
    for part in (energy, queries):
        app.include_router(part.router, max_body_size=settings.max_evaluate_bytes)
    for part in (corpora, activations):
        app.include_router(part.router, max_body_size=settings.max_upload_bytes)
    for pages in (overview, results, experiments, asking, login, files):
        app.include_router(pages.router, max_body_size=settings.max_json_bytes)
    app.router.routes.append(files.STATIC)
    problems.install(app)
    app.openapi = lambda: describe_security(problems.describe(app))
    if settings.root_path:
        app.add_middleware(RoutedBelowMiddleware, root_path=settings.root_path)
    # With a keys file in the settings, or on a public address, a key is required even if the file is missing.
    guarded = settings.api_keys_file is not None or not is_loopback(settings.host)
    # Pages of other sites must not reach a server on loopback, neither by DNS rebinding nor by a cross-site form.
    app.add_middleware(SameSiteMiddleware, keyless=not guarded)
    keys = ApiKeys(settings.api_keys_file, KeyUses(settings.key_uses)) if guarded else None
    app.add_middleware(ApiKeyMiddleware, keys=keys)
    app.state.keys = keys
    app.add_middleware(AuditMiddleware)
    app.add_middleware(HostMiddleware, patterns=settings.request_hosts)
    app.add_middleware(BodilessMiddleware)
    app.add_middleware(ProblemMiddleware)
    app.add_middleware(HeadersMiddleware)
    if settings.root_path:
        app.add_middleware(RootPathMiddleware, root_path=settings.root_path)
    if settings.proxies:
        app.add_middleware(ForwardedMiddleware, proxies=settings.proxies)
    app.add_middleware(RequestLog, observe=observe)
    return app
