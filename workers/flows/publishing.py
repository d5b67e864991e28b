"""The one protocol by which segments publish: write aside → publish → record under the fence.

1. Write aside: every owner writes in a staging folder of its own, as a replaced owner may still be writing.
2. Publish: a finished folder is renamed into place. A sound folder that an earlier owner published is kept; a damaged
   one is moved away first, under the fence.
3. Record: catalog rows are committed in one transaction with the check of the owner's fencing token.

A reader sees all of a product or nothing of it. What dead owners left aside is removed last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST, read_manifest, verify_file
from service.artifacts.staging import collect_staging, own_staging
from service.catalog.engine import Connection
from service.errors import CorruptArtifact
from service.settings import Settings
from workers.flows.engine.ownership import SegmentOwner

Change = Callable[[Connection], object]


@dataclass(frozen=True)
class Draft:
    """A folder to publish.

    Attributes:
        target: where readers find it.
        write: writes its files, and last its manifest, into an empty folder.
    """

    target: Path
    write: Callable[[Path], object]


def is_published(folder: Path) -> bool:
    """Whether a folder is in place; its files are not read."""
    return (folder / MANIFEST).exists()


def is_sound(folder: Path) -> bool:
    """Whether a folder is in place and every file of it has its recorded SHA-256."""
    if not is_published(folder):
        return False
    try:
        for entry in read_manifest(folder)["files"]:
            verify_file(folder, entry)
    except CorruptArtifact:
        return False
    return True


def publish(
    owner: SegmentOwner,
    drafts: Sequence[Draft],
    *,
    keep: Callable[[Path], bool] = is_sound,
    check: Callable[[list[Path]], object] = lambda folders: None,
    record: Callable[[list[str]], Change] | None = None,
) -> list[str]:
    """Publish some folders, all together; returns the SHA-256 of each one's manifest.

    Args:
        keep: whether a folder that is in place already stays as it is.
        check: raises before anything gets its name; its argument has, for each draft, the folder with its files.
        record: from the result, the change of the catalog that is committed under the fence. It may read the folders;
            the change itself holds the database's write lock and only writes rows.

    Raises:
        Cancelled, Superseded: this worker no longer owns the segment; nothing was recorded.
        StorageFull: no space left in the data directory.
    """
    settings = owner.runtime.settings
    with ExitStack() as staging:
        written: dict[Path, Path] = {}
        for draft in drafts:
            if not keep(draft.target):
                name = _staging_name(settings, draft.target)
                folder = staging.enter_context(own_staging(settings.staging_root, name, owner.attempt))
                draft.write(folder)
                written[draft.target] = folder
        check([written.get(draft.target, draft.target) for draft in drafts])
        remove(owner, *(target for target in written if target.exists()))
        for target, folder in written.items():
            publish_folder(folder, target)
    digests = [sha256_file(draft.target / MANIFEST) for draft in drafts]
    if record is not None:
        owner.record(record(digests))
    for draft in drafts:
        collect_staging(settings.staging_root, _staging_name(settings, draft.target))
    return digests


def remove(owner: SegmentOwner, *folders: Path) -> None:
    """Remove folders, under the fence: a replaced owner may mistake its successor's files for damaged ones.

    Without any, this only checks that the owner may still publish.

    Raises:
        Cancelled, Superseded: as `publish`; nothing was removed.
    """
    settings = owner.runtime.settings
    names = {folder: _staging_name(settings, folder).replace("/", "-") for folder in folders}
    removed = {folder: settings.staging_root / f"{name}.removed-{owner.attempt}" for folder, name in names.items()}

    def set_aside(_: Connection) -> None:
        for folder, aside in removed.items():
            with suppress(FileNotFoundError):
                os.replace(folder, aside)

    owner.record(set_aside)  # the next owner waits for the end of this transaction
    for aside in removed.values():
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def all_or_nothing(owner: SegmentOwner, *folders: Path) -> Iterator[None]:
    """Remove folders when the block finds a damaged file: a retry then makes all of them anew."""
    try:
        yield
    except CorruptArtifact:
        remove(owner, *folders)
        raise


def _staging_name(settings: Settings, target: Path) -> str:
    """The name below the staging root under which owners write a folder; it begins with the product's id."""
    if target.is_relative_to(settings.staging_root):
        return target.relative_to(settings.staging_root).as_posix()
    return "-".join(target.relative_to(settings.artifacts_root).parts)
