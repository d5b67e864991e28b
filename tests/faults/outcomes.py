"""What a job came to, apart from its ids and times, and what the store holds that nobody lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.tables import activations, energy_reports, radius_reports
from service.contracts.jobs import Job
from service.settings import Settings

_OWN = {"id", "job", "activations", "reference", "queries", "created_at", "timing", "provenance"}


def outcome(settings: Settings, job: Job) -> list[Any]:
    """For each product its kind, its site, the SHA-256 of every file of numbers, and every number of its report."""
    return [[found.type, found.site, _content(settings.artifacts_root / found.id, found.type)] for found in job.results]


def _content(folder: Path, kind: str) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = {entry["name"]: entry["sha256"] for entry in manifest["files"] if entry["name"].endswith(".safetensors")}
    told = manifest if kind == "activations" else json.loads((folder / "report.json").read_bytes())
    return {"files": files, "told": _without_own(told)}


def _without_own(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _without_own(value) for key, value in told.items() if key not in _OWN | {"files"}}
    return [_without_own(value) for value in told] if isinstance(told, list) else told


def unlisted(settings: Settings, catalog: Catalog) -> set[str]:
    """Folders and temporary files in the store that no row of the catalog leads to."""
    with catalog.read() as connection:
        tables = (activations, radius_reports, energy_reports)
        listed = {name for table in tables for name in connection.execute(sa.select(table.c.id)).scalars()}
    staging = {f".staging/{path.name}" for path in settings.staging_root.glob("*")}
    published = {path.name for path in settings.artifacts_root.iterdir() if path != settings.staging_root}
    temporary = {str(path.relative_to(settings.artifacts_root)) for path in settings.artifacts_root.rglob(".*.tmp")}
    return staging | (published - listed) | temporary


def published_by(catalog: Catalog, job_id: str) -> list[str]:
    """Ids of everything published for a job, listed among its results or not."""
    with catalog.read() as connection:
        tables = (activations, radius_reports, energy_reports)
        queries = [sa.select(table.c.id).where(table.c.job == job_id) for table in tables]
        return sorted(name for query in queries for name in connection.execute(query).scalars())
