"""A byte of an extraction flips after its segment wrote it and before anything is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.client import JobFailed
from tests.faults.conftest import Tally
from tests.faults.fleet import Fleet, wait_until
from tests.faults.test_control_deaths import SPEC

FILES = ("site-00/shard-00000.safetensors", "rows-00000.safetensors")


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_what_was_changed_meanwhile_is_never_published(fleet: Fleet, name: str, tally: Tally):
    handle = fleet.client.submit("extraction", SPEC | {"reuse": False})
    folder = fleet.settings.staging_root / handle.id
    written = folder / FILES[0]
    wait_until(lambda: fleet.job(handle.id).progress.done > 64 and written.exists(), "the first shard is written")
    flip_last_byte(folder / name)
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
    tally(flipped=name, refused=failed.error["code"])
