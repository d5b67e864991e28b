"""Folders of a run or sweep that is readable while it grows: data, kept models, views; each is published whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from service.artifacts.manifest import describe_file, write_manifest
from service.artifacts.views import view_name
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.publishing import Change, Draft, publish


def publish_part(
    product: str,
    name: str,
    owner: SegmentOwner,
    write: Callable[[Path], object],
    record: Callable[[list[str]], Change] | None = None,
) -> str:
    """Publish the folder `name` of a product; returns its manifest's SHA-256. `record` as `publish` has it."""
    (sha256,) = publish(owner, [Draft(owner.runtime.artifact(product) / name, write)], record=record)
    return sha256


def publish_view(
    product: str, step: int, owner: SegmentOwner, draw: Callable[[Path], list[Path]]
) -> dict[str, int | str]:
    """Publish the files that `draw` makes of a product as of `step`; returns the columns of its row."""

    def write(folder: Path) -> None:
        write_manifest(folder, {"kind": "view", "files": [describe_file(path) for path in draw(folder)]})

    return {"view_step": step, "view_sha256": publish_part(product, view_name(step), owner, write)}


def remove_older_views(product: str, step: int, owner: SegmentOwner) -> None:
    """Remove the views of a product before that of `step`, which is recorded."""
    for old in owner.runtime.artifact(product).glob("view-*"):
        if old.name < view_name(step):
            shutil.rmtree(old, ignore_errors=True)
