"""One byte of a stored file is another one: it is always found, and no number is ever made from it."""

# One database: bytes of stored files are changed.

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.artifacts.activation_set import ActivationSet
from service.artifacts.report import EnergyFolder, ReportFolder
from service.catalog import energy as energy_catalog
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.errors import CorruptArtifact
from service.settings import Settings
from tests.api.products import evaluate, insert_job, publish_report
from tests.api.support import client_of, problem_of
from tests.databases.migrated import sqlite_settings
from tests.faults.conftest import Tally
from tests.faults.profile import PROFILE, SEED

Reader = Callable[[], object]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return sqlite_settings(tmp_path_factory.mktemp("flips") / "data", null_queries=10)


@pytest.fixture(scope="module")
def stored(settings: Settings) -> dict[Path, tuple[Reader, str]]:
    """By folder: everything that reads it, as the workers and the API do, and its path in the API."""
    made = publish_report(settings)
    catalog = Catalog(settings.resolved_database_url)
    energy_id = evaluate(settings, catalog, insert_job(catalog, {}), [made.activations], sample=4, beta=[1.0])
    with catalog.read() as connection:
        radius_sha256 = radius_catalog.get(connection, made.report)[1]
        energy_sha256 = energy_catalog.get(connection, energy_id)[1]
    catalog.close()
    with client_of(settings) as client:
        set_sha256 = client.get(f"/v1/activations/{made.activations}").json()["sha256"]
    root = settings.artifacts_root

    def read_set() -> None:
        found = ActivationSet(root / made.activations, set_sha256)
        _ = found.vectors(), found.mapped_vectors(), found.mean(), found.document_codes(), found.rows([0, 39])

    def read_report() -> None:
        found = ReportFolder(root / made.report, radius_sha256)
        files = [f"figure.{ending}" for ending in ("png", "svg", "pdf")] + ["neighbors.npz", "neighbors.parquet"]
        _ = found.report(), found.distances(0), [found.file(name) for name in files]

    def read_energy() -> None:
        found = EnergyFolder(root / energy_id, energy_sha256)
        layers = found.report().layers
        _ = found.values("g", 0, layers, None), [found.file(f"figure.{ending}") for ending in ("png", "svg", "pdf")]

    return {
        root / made.activations: (read_set, f"/v1/activations/{made.activations}/rows?vectors=true"),
        root / made.report: (read_report, f"/v1/radius/{made.report}"),
        root / energy_id: (read_energy, f"/v1/energy/{energy_id}"),
    }


def flip(path: Path, chance: random.Random) -> bytes:
    """Change one byte of a file; returns its bytes before."""
    sound = path.read_bytes()
    place = chance.randrange(len(sound))
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(bytes([sound[place] ^ chance.randrange(1, 256)]))
    return sound


@pytest.mark.parametrize("which", [0, 1, 2], ids=["activation set", "radius report", "energy report"])
def test_every_flipped_byte_is_found(stored: dict[Path, tuple[Reader, str]], which: int, tally: Tally):
    folder, (read, _) = list(stored.items())[which]
    chance, flips, missed = random.Random(f"{SEED} {which}"), Counter[str](), []
    for _ in range(PROFILE.flips):
        path = chance.choice(sorted(folder.iterdir()))
        sound = flip(path, chance)
        try:
            read()
            missed.append(path.name)
        except CorruptArtifact:
            flips["manifests" if path.name == "manifest.json" else "other files"] += 1
        finally:
            path.write_bytes(sound)
    tally(seed=SEED, flips=PROFILE.flips, found=flips.total(), **{f"in {name}": n for name, n in flips.items()})
    assert missed == []
    read()


@pytest.mark.parametrize("which", [0, 1, 2], ids=["activation set", "radius report", "energy report"])
def test_the_api_gives_no_number_of_a_file_that_changed(
    settings: Settings, stored: dict[Path, tuple[Reader, str]], which: int
):
    folder, (_, path) = list(stored.items())[which]
    chance = random.Random(SEED)
    names = ("manifest.json", "shard-00001.safetensors" if which == 0 else "report.json")
    with client_of(settings) as client:
        for name in names:
            sound = flip(folder / name, chance)
            check_refused(client, path)
            (folder / name).write_bytes(sound)
        assert client.get(path).status_code == 200


def check_refused(client: TestClient, path: str) -> None:
    problem_of(client.get(path), 500, "corrupt_artifact")
