"""Parts of a product that is readable while it grows: each is a folder of its own, renamed into place whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST, describe_file, write_manifest
from service.artifacts.staging import collect_staging, own_staging
from service.artifacts.views import view_name
from workers.flows.engine.runtime import SegmentProgress, runtime


def publish_part(product: str, name: str, progress: SegmentProgress, write: Callable[[Path], object]) -> str:
    """Have the folder `name` of a product written and renamed into place; returns its manifest's SHA-256.

    One that an owner before has published is kept.
    """
    current = runtime()
    target = current.artifact(product) / name
    with own_staging(current.settings.staging_root, _staging_name(product, progress), progress.attempt) as staged:
        write(staged)
        publish_folder(staged, target)
    return sha256_file(target / MANIFEST)


def publish_view(
    product: str, step: int, progress: SegmentProgress, draw: Callable[[Path], list[Path]]
) -> dict[str, int | str]:
    """Publish what shows a product as of `step`: the files that `draw` makes; returns what the catalog keeps of it."""

    def write(folder: Path) -> None:
        write_manifest(folder, {"kind": "view", "files": [describe_file(path) for path in draw(folder)]})

    return {"view_step": step, "view_sha256": publish_part(product, view_name(step), progress, write)}


def collect_leftovers(product: str, step: int, progress: SegmentProgress) -> None:
    """Remove the views before that of `step`, and what owners of this segment that died have left."""
    current = runtime()
    for old in current.artifact(product).glob("view-*"):
        if old.name < view_name(step):
            shutil.rmtree(old, ignore_errors=True)
    collect_staging(current.settings.staging_root, _staging_name(product, progress))


def _staging_name(product: str, progress: SegmentProgress) -> str:
    return f"{product}-{progress.name}"  # attempts are counted segment by segment
