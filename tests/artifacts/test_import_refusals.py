from __future__ import annotations

import io
import json
import pickle
import random
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.artifacts.importing import import_vectors
from service.errors import InvalidInput
from tests.artifacts.files import normal, npy, npy_declaring, npy_shaped, npz, one_tensor, tensors, tensors_declaring

DATA = normal(6, 4).tobytes()
SOUND = {"descr": "<f4", "fortran_order": False, "shape": (6, 4)}
TIB = 2**40

NPY: dict[str, bytes] = {
    "integers": npy(np.ones((6, 4), dtype=np.int32)),
    "booleans": npy(np.ones((6, 4), dtype=bool)),
    "complex": npy(np.ones((6, 4), dtype=np.complex64)),
    "long double": npy(np.ones((6, 4), dtype=np.longdouble)),
    "text": npy(np.full((6, 4), "text")),
    "times": npy(np.zeros((6, 4), dtype="M8[s]")),
    "structured": npy(np.zeros(6, dtype=[("a", "<f4"), ("b", "<f4")])),
    "structured, 2-D": npy(np.zeros((6, 4), dtype=[("a", "<f4")])),
    "array of arrays": npy_shaped((3, 4), DATA, ("<f4", (2,))),
    "objects": npy(np.full((6, 4), None, dtype=object), allow_pickle=True),
    "no dimension": npy(np.array(1, dtype=np.float32)),
    "one dimension": npy(np.ones(24, dtype=np.float32)),
    "three dimensions": npy(np.ones((2, 3, 4), dtype=np.float32)),
    "no rows": npy(np.ones((0, 4), dtype=np.float32)),
    "no columns": npy(np.ones((6, 0), dtype=np.float32)),
    "cut off by a byte": npy(normal())[:-1],
    "cut off within the header": npy(normal())[:40],
    "cut off after the magic": npy(normal())[:6],
    "a byte too many": npy(normal()) + b"\x00",
    "3.6 TiB": npy_shaped((10**9, 1000), DATA),
    "one row too many": npy_shaped((7, 4), DATA),
    "one row too few": npy_shaped((5, 4), DATA),
    "negative": npy_shaped((-6, -4), DATA),
    "beyond 64 bits": npy_shaped((2**70, 4), DATA),
    "wraps around to the size": npy_shaped((2**62 + 6, 4), DATA),
    "shape of booleans": npy_shaped((True, 24), DATA),
    "shape of floats": npy_shaped((6.0, 4), DATA),
    "shape is a list": npy_shaped([6, 4], DATA),
    "empty dtype": npy_shaped((6, 4), DATA, ()),
    "no dtype": npy_shaped((6, 4), DATA, None),
    "an unknown dtype": npy_shaped((6, 4), DATA, "<zz"),
    "another key": npy_declaring(SOUND | {"more": 1}, DATA),
    "an unclosed header": npy_declaring(repr(SOUND)[:-1], DATA),
    "a string that never ends": npy_declaring(repr(SOUND)[:-4] + "'", DATA),
    "a header of brackets": npy_declaring("(" * 5000, DATA),
    "a header of nothing": npy_declaring("", DATA),
    "a leading zero": npy_declaring("{'descr': '<f4', 'fortran_order': False, 'shape': (06, 4)}", DATA),
    "a header of 20 kB": npy_declaring(" " * 20_000 + repr(SOUND), DATA, (2, 0)),
    "a header of 4 GiB": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + DATA,
    "an unknown version": npy_declaring(SOUND, DATA, (9, 9)),
}  # fmt: skip

SAFETENSORS: dict[str, bytes] = {
    "no tensor": tensors(),
    "integers": tensors(a=np.ones((6, 4), dtype=np.int64)),
    "bfloat16 of another size": one_tensor([11, 4], DATA, "BF16"),
    "float8": one_tensor([24, 4], DATA, "F8_E4M3"),
    "an unknown dtype": one_tensor([6, 4], DATA, "F99"),
    "one dimension": tensors(a=np.ones(24, dtype=np.float32)),
    "three dimensions": tensors(a=np.ones((2, 3, 4), dtype=np.float32)),
    "no dimension": one_tensor([], DATA[:4]),
    "no rows": one_tensor([0, 4], b""),
    "no columns": one_tensor([6, 0], b""),
    "cut off": tensors(a=normal())[:-1],
    "a byte too many": tensors(a=normal()) + b"\x00",
    "one row too many": one_tensor([7, 4], DATA),
    "one row too few": one_tensor([5, 4], DATA),
    "3.6 TiB": one_tensor([10**9, 1000], DATA),
    "wraps around": one_tensor([2**32, 2**32], DATA),
    "negative": one_tensor([-6, -4], DATA),
    "offsets beyond": tensors_declaring({"a": {"dtype": "F32", "shape": [6, 4], "data_offsets": [0, 4 * TIB]}}, DATA),
    "a header of 2^63": struct.pack("<Q", 2**63) + DATA,
    "a header of all but the length": struct.pack("<Q", len(DATA) + 1) + DATA,
    "a header of 1 GiB": struct.pack("<Q", 2**30) + DATA,
    "a header that is not JSON": tensors_declaring(b"{nope}", DATA),
    "a header that is not UTF-8": tensors_declaring(b'{"\xff": 1}', DATA),
    "a header of brackets": tensors_declaring(b"[" * 1_000_000, DATA),
    "a header of a long number": tensors_declaring(b"9" * 10_000, DATA),
    "a header of null": tensors_declaring(None, DATA),
    "a header of a list": tensors_declaring([1], DATA),
    "a header in UTF-16": tensors_declaring(json.dumps({"a": 1}).encode("utf-16"), DATA),
    "no header": bytes(8) + DATA,
    "empty": b"",
    "seven bytes": b"1234567",
    "text": b"row,1,2,3\n" * 100,
    "a zip of arrays": npz(a=normal()),
}  # fmt: skip


def refuse(folder: Path, content: bytes) -> InvalidInput:
    source = folder / "upload"
    source.write_bytes(content)
    began = time.perf_counter()
    with pytest.raises(InvalidInput) as caught:
        import_vectors(source, folder / "set", {"id": "act-1", "name": "mine"})
    assert time.perf_counter() - began < 10  # milliseconds, unless the content is read or expanded
    assert not (folder / "set").exists()
    return caught.value


@pytest.mark.parametrize("content", list(NPY.values()), ids=list(NPY))
def test_an_unsound_npy_file_is_refused_at_once(tmp_path: Path, content: bytes):
    assert refuse(tmp_path, content).field == "file"


@pytest.mark.parametrize("content", list(SAFETENSORS.values()), ids=list(SAFETENSORS))
def test_an_unsound_safetensors_file_is_refused_at_once(tmp_path: Path, content: bytes):
    assert refuse(tmp_path, content).field == "file"


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("archive/data/0", DATA)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["pickle", "old pickle", "npy", "npz", "torch", "header"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, kind: str):
    mark = tmp_path / "executed"
    objects = np.full((6, 4), Trap(mark), dtype=object)
    content = {
        "pickle": pickle.dumps(Trap(mark)),
        "old pickle": pickle.dumps(Trap(mark), protocol=0),
        "npy": npy(objects, allow_pickle=True),
        "npz": npz(vectors=objects),
        "torch": zipped("archive/data.pkl", pickle.dumps(Trap(mark))),
        "header": npy_declaring(
            f"{{'descr': __import__('pathlib').Path({str(mark)!r}).touch(), 'shape': (6, 4)}}", DATA
        ),
    }[kind]
    refuse(tmp_path, content)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_a_damaged_header_is_refused_or_harmless(tmp_path: Path, kind: str):
    sound = npy_declaring(SOUND, DATA) if kind == "npy" else one_tensor([6, 4], DATA)
    chance, source, broken = random.Random(0), tmp_path / "upload", set()
    for number in range(400):
        damaged = bytearray(sound)
        for _ in range(chance.choice([1, 1, 2, 3])):
            damaged[chance.randrange(len(sound) - len(DATA))] = chance.choice(b"(){}[]\"',:<>f48O-0 \n\x00\xff\\TLe.")
        source.write_bytes(bytes(damaged))
        try:
            import_vectors(source, tmp_path / str(number), {"id": "act-1", "name": "mine"})
        except InvalidInput:
            pass
        except Exception as error:
            broken.add(f"{type(error).__name__}: {error}")
    assert broken == set()
