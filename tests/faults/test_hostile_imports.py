"""Files that want to be executed, or to be believed about their size, sent to a real API: refused at once, at no cost.

What an import refuses by its content is tried file by file in tests/artifacts/test_import_refusals.py; here are the
files that need a process of their own to be watched, and what a request may do to the folders around it. Links in
folders of text are tried in tests/corpora.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest

from tests.artifacts.files import npy, npy_shaped, npz, one_tensor, tensors_declaring
from tests.faults.conftest import on
from tests.faults.fleet import Fleet
from tests.faults.outcomes import unlisted

MIB = 2**20
MOST_MEMORY = 64 * MIB
DATA = bytes(96)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def zip_slip(mark: Path) -> bytes:
    """A .npz whose member wants to be written outside of the folder that it is unpacked in."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (f"../../../{mark.name}.npy", str(mark)):
            archive.writestr(name, npy(np.ones((6, 4), dtype=np.float32)))
    return stream.getvalue()


def zip_bomb(_: Path) -> bytes:
    """A .npz of 200 MB of zeros in 200 kB."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(npy_shaped((50, 10**6), b""))
        for _block in range(200):
            member.write(bytes(MIB))
    return stream.getvalue()


FILES: dict[str, Callable[[Path], bytes]] = {
    "pickle": lambda mark: pickle.dumps(Trap(mark)),
    "object .npy": lambda mark: npy(np.full((6, 4), Trap(mark), dtype=object), allow_pickle=True),
    "object .npz": lambda mark: npz(vectors=np.full((6, 4), Trap(mark), dtype=object)),
    "zip-slip .npz": zip_slip,
    "zip bomb": zip_bomb,
    ".npy of 3.6 TiB": lambda _: npy_shaped((10**9, 1000), DATA),
    ".npy of more than 64 bits": lambda _: npy_shaped((2**62 + 6, 4), DATA),
    ".npy cut off": lambda _: npy(np.ones((1000, 64), dtype=np.float32))[:-1],
    "safetensors of 3.6 TiB": lambda _: one_tensor([10**9, 1000], DATA),
    "safetensors with a header of 8 EiB": lambda _: struct.pack("<Q", 2**63 - 1) + DATA,
    "safetensors with a header of 90 MB": lambda _: struct.pack("<Q", 90 * 10**6) + b" " * (90 * 10**6) + DATA,
    "safetensors with a million tensors": lambda _: tensors_declaring(b"{" + b'"a":{},' * 140_000 + b"}", DATA),
    "safetensors cut off": lambda _: one_tensor([6, 4], DATA)[:-1],
    "path of another file": lambda _: os.fsencode("/proc/self/environ"),
}


def post(fleet: Fleet, content: bytes, name: str = "vectors") -> httpx2.Response:
    return httpx2.post(f"{fleet.url}/v1/activations", files={"file": (name, content)}, timeout=60)


def busy(process: psutil.Process) -> float:
    """Seconds that a process has computed."""
    times = process.cpu_times()
    return times.user + times.system


@on("postgresql")
@pytest.mark.parametrize("make", list(FILES.values()), ids=list(FILES))
def test_a_hostile_file_is_refused_at_no_cost(fleet: Fleet, tmp_path: Path, make: Callable[[Path], bytes]):
    mark = tmp_path / "mark"
    content, api = make(mark), psutil.Process(fleet.running["api"].pid)
    before, children = unlisted(fleet.settings, fleet.catalog), api.children()
    memory, began = api.memory_info().rss, busy(api)
    answer = post(fleet, content)
    taken = busy(api) - began - len(content) / (100 * MIB)  # it is sent first
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    assert taken < 1, "seconds of a processor"
    assert api.memory_info().rss - memory < MOST_MEMORY
    assert not mark.exists()
    assert api.children() == children
    assert unlisted(fleet.settings, fleet.catalog) == before
    assert not list(fleet.settings.uploads_root.iterdir())


@on("postgresql")
@pytest.mark.parametrize("name", ["../../mark", "/mark", "..\\mark", "mark\x00", "%2e%2e/mark", "~/mark"])
def test_the_name_of_a_file_leads_nowhere(fleet: Fleet, name: str):
    """A file is stored under an id of ours, whatever it is called."""
    root = fleet.settings.data_dir
    before = set(root.parent.rglob("*mark*"))
    answer = post(fleet, npy(np.ones((6, 4), dtype=np.float32)), name)
    assert answer.status_code in (201, 422)
    assert set(root.parent.rglob("*mark*")) == before
