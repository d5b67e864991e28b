"""Files of an extraction are changed after their segment wrote them and before anything is published."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.catalog.tables import segments
from service.client import JobFailed
from tests.faults.conftest import Tally
from tests.faults.fleet import Fleet, wait_until
from tests.faults.test_control_deaths import SPEC

VECTORS, CHUNKS = "site-00/shard-00000.safetensors", "rows-00000.safetensors"


def flip_last_byte(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)[0]
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last ^ 1]))


def cut_to_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def first_shard_is_written(fleet: Fleet, job_id: str) -> bool:
    here = (segments.c.job == job_id) & (segments.c.name == "extract-00000") & ~segments.c.running
    with fleet.catalog.read() as connection:
        return connection.execute(sa.select(segments.c.name).where(here)).first() is not None


@pytest.mark.parametrize(
    ("change", "name"), [(flip_last_byte, VECTORS), (flip_last_byte, CHUNKS), (cut_to_half, VECTORS)]
)
def test_what_was_changed_meanwhile_is_never_published(
    fleet: Fleet, change: Callable[[Path], None], name: str, tally: Tally
):
    handle = fleet.client.submit("extraction", SPEC | {"reuse": False})
    wait_until(lambda: first_shard_is_written(fleet, handle.id), "the first shard is written")
    change(fleet.settings.staging_root / handle.id / name)
    with pytest.raises(JobFailed):
        handle.wait(timeout_s=120)
    failed = fleet.job(handle.id)
    assert failed.error is not None
    assert (failed.error["code"], failed.results) == ("corrupt_artifact", [])
    fleet.client.retry(handle.id)
    again = handle.wait(timeout_s=120)
    assert again.job.state == "succeeded"
    unbroken = fleet.run("extraction", SPEC | {"reuse": False})
    vectors, expected = (fleet.client.vectors(found.activations[0]) for found in (again, unbroken))
    assert vectors.tobytes() == expected.tobytes()
    tally(change=change.__name__, file=name, refused=failed.error["code"])
