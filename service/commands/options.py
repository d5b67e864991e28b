"""Options that several commands share, and the client that they use."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.client import Client
from service.settings import ClientSettings

Url = Annotated[str | None, typer.Option("--url", help="the service; default: RADIUS_URL, or this machine's port 8000")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]
Limit = Annotated[int, typer.Option(min=1, help="rows shown at most")]


def open_client(url: str | None = None, **options: Any) -> Client:
    """A client of the service at `url` with the API key in RADIUS_API_KEY, if that is set."""
    return Client(url, **options)


def service_url(url: str | None) -> str:
    """The service's URL without a slash at its end."""
    return (url or ClientSettings().url).rstrip("/")
