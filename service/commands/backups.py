"""`radius backup` and `radius restore`."""

from __future__ import annotations

from pathlib import Path

from service.backup.making import make_backup
from service.backup.restoring import restore_backup
from service.commands.output import say
from service.settings import Settings
from service.sizes import shown_bytes


def backup(settings: Settings, folder: Path) -> None:
    """Copy database and files of this service into an empty folder, while jobs run."""
    listing = make_backup(settings, folder)
    size = shown_bytes(sum(file.bytes for file in [*listing.files, *listing.database]))
    say(f"{len(listing.files)} files and the database, {size}, with their SHA-256 in {folder}/backup.json")
    for note in listing.notes:
        say(note, "note", "yellow")


def restore(settings: Settings, folder: Path) -> None:
    """Restore a backup into an empty data directory and an empty database, and check every file."""
    found = restore_backup(settings, folder)
    say(f"{found.files} files, {shown_bytes(found.bytes)}, all with their SHA-256", "ok  ", "green")
    say(f"{found.products} products and states that the database names are complete", "ok  ", "green")
    say(f"{found.open_jobs} jobs continue when workers are started", "ok  ", "green")
    for note in found.notes:
        say(note, "note", "yellow")
