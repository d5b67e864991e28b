"""A data directory with a published set and a waiting job, made once; every attempt gets a copy."""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.catalog.engine import Catalog
from tests.api.products import insert_job, publish_texts, sample_vectors
from tests.databases.migrated import sqlite_settings
from tests.faults.publishes import OLD, ROWS


@dataclass(frozen=True)
class Template:
    """FOLDER/data is the data directory; beside it is what the attempts are given."""

    folder: Path

    def copy(self, name: str) -> Path:
        """A fresh copy of that name."""
        copied = self.folder.parent / name
        shutil.copytree(self.folder, copied)
        return copied

    def added(self, copied: Path) -> set[Path]:
        """What a copy's store has beside what it was given."""
        given = {path.name for path in (self.folder / "data" / "artifacts").iterdir()}
        return {path for path in (copied / "data" / "artifacts").iterdir() if path.name not in given}


def make_template(folder: Path) -> Template:
    """Make the data directory."""
    settings = sqlite_settings(folder / "data")
    catalog = Catalog(settings.resolved_database_url)
    set_id = publish_texts(settings, catalog, sample_vectors(), insert_job(catalog, {}))
    made = {"set": set_id, "job": insert_job(catalog, {"activations": set_id})}
    catalog.close()
    (folder / "made.json").write_text(json.dumps(made))
    (settings.artifacts_root / "file").write_bytes(OLD)
    np.save(folder / "rows.npy", ROWS)
    return Template(folder)
