"""`backup.json`: what a backup has. It is written last, so a folder without it is no backup."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from service.artifacts.atomic import write_bytes
from service.contracts.base import Contract
from service.errors import InvalidInput

LISTING, FILES, DATABASE = "backup.json", "files", "database"


class CopiedFile(Contract):
    """A file, by its path in the data directory or in the backup."""

    path: str
    bytes: int
    sha256: str


class CopiedTable(Contract):
    """A table of PostgreSQL and the columns of its copy; tables come after those that they refer to."""

    schema_name: str
    name: str
    columns: list[str]


class Listing(Contract):
    """The contents of a backup, and the requirements of a restore."""

    format_version: Literal[1] = 1
    version: str
    made_at: datetime
    backend: Literal["sqlite", "postgresql"]
    revision: str
    tables: list[CopiedTable]
    database: list[CopiedFile]
    files: list[CopiedFile]
    notes: list[str]


def write_listing(folder: Path, listing: Listing) -> None:
    """Write the list of a complete backup."""
    write_bytes(folder / LISTING, listing.model_dump_json(indent=1).encode())


def read_listing(folder: Path) -> Listing:
    """The list of the backup in `folder`; raises `InvalidInput` where there is none."""
    try:
        return Listing.model_validate_json((folder / LISTING).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidInput(f"the folder has no {LISTING} of a complete backup of this format", field="dir") from error
