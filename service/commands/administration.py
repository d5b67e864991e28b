"""Commands for the operator of a service: `radius db …`, `radius keys …`, `radius health`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import httpx2
import typer

from service.addresses import reachable, url_at
from service.api.query_proxy import query_client
from service.commands.output import errors, say
from service.compute_workers import recorded_names
from service.errors import InvalidInput, Unavailable
from service.key_uses import KeyUses
from service.keys import StoredKey, create_key, read_keys, remove_key
from service.permissions import keep_files_private
from service.settings import Settings

db_app = typer.Typer(help="The metadata database.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys, kept as hashes in API_KEYS_FILE.", no_args_is_help=True)
_HEALTH_S = 5.0


@db_app.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema; safe to repeat."""
    from service.catalog.migrate import migrate
    from service.jobs.engine import migrate_engine

    keep_files_private()
    settings = Settings()
    settings.make_folders()
    migrate(settings.resolved_database_url)
    migrate_engine(settings.resolved_database_url)
    say("the database has this version's schema")


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Option(help="name of the key")],
    project: Annotated[
        str, typer.Option(help="project whose objects it reaches, and that owns what it makes")
    ] = "default",
    scope: Annotated[str, typer.Option(help="read, write or admin")] = "write",
    expires: Annotated[str | None, typer.Option(help="period of validity: 90d or 12h; default: no end")] = None,
) -> None:
    """Create a key and print it alone on standard output; only its hash is stored, so it cannot be shown again."""
    keep_files_private()
    file = _keys_file()
    key = create_key(file, name, project, scope, expires)
    stored = next(one for one in read_keys(file) if one.name == name)
    say(f"{_described(stored)}; its hash is in {file}, the key itself is shown here alone", to=errors)
    print(key)


@keys_app.command("list")
def list_keys() -> None:
    """List the keys with project, scope, time of creation, end and last use, to the minute."""
    uses = KeyUses(Settings().key_uses)
    for stored in read_keys(_keys_file()):
        last = uses.last(stored.sha256)
        say(f"{_described(stored)}, created {stored.created_at}, last used {last.isoformat() if last else 'never'}")


@keys_app.command("revoke")
def revoke(name: str) -> None:
    """Remove a key; a running service refuses it at once."""
    removed = remove_key(_keys_file(), name)
    KeyUses(Settings().key_uses).remove(removed.sha256)


def _described(stored: StoredKey) -> str:
    end = "no end" if stored.expires is None else f"{'expired' if stored.is_expired else 'expires'} {stored.expires}"
    return f"{stored.name}: project {stored.project}, scope {stored.scope}, {end}"


def check_health(role: str | None, settings: Settings) -> None:
    """Check the API, or this machine's workers of a role.

    Raises:
        Unavailable: the check failed; the message names it.
    """
    if role is None:
        with httpx2.Client(timeout=_HEALTH_S, trust_env=False) as client:  # no proxy between this machine and itself
            _expect_200(client, f"{url_at(reachable(settings.host), settings.port)}/readyz")
    elif role == "query":
        with query_client(settings, _HEALTH_S) as client:
            _expect_200(client, "http://query/healthz")
    else:
        from service.catalog import workers
        from service.catalog.engine import Catalog

        names = recorded_names(settings) if role == "compute" else [f"{role}-{settings.worker_name}"]
        with closing(Catalog(settings.resolved_database_url)) as catalog, catalog.read() as connection:
            silent = [name for name in names if not workers.is_alive(connection, name, settings.lease_s)]
        if silent:
            raise Unavailable(f"no heartbeat for {settings.lease_s:g} s of {', '.join(silent)}")


def _expect_200(client: httpx2.Client, url: str) -> None:
    try:
        status = client.get(url).status_code
    except httpx2.TransportError as error:
        raise Unavailable(f"{url} cannot be reached") from error
    if status != 200:
        raise Unavailable(f"{url} answers {status}")


def _keys_file() -> Path:
    path = Settings().api_keys_file
    if path is None:
        raise InvalidInput("set RADIUS_API_KEYS_FILE to the file that keeps the hashes", field="api_keys_file")
    return path
