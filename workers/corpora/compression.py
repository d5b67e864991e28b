"""Files that may be compressed by gzip, Zstandard or xz; what they expand to is bounded."""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa

from service.errors import InvalidInput, TooLarge
from workers.corpora.documents import Decoding

FREE_BYTES = 8 * 2**20  # any file may expand to these
_ARROW = {".gz": "gzip", ".zst": "zstd"}
_XZ_MEMORY = 256 * 2**20  # of a decoder; the highest preset takes 65 MiB
_READ_BYTES = 2**16


@contextmanager
def open_file(path: Path, name: str, decoding: Decoding) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed where its name has the ending of a compressed format.

    Raises:
        InvalidInput: it cannot be decompressed.
        TooLarge: it expands to more than `FREE_BYTES` and `decoding.max_expansion` times its size.
    """
    ending = path.suffix.lower()
    if not is_compressed(path):
        with path.open("rb") as stream:
            yield stream
        return
    try:
        with path.open("rb") as file:
            # Arrow's streams raise when a compressed file is cut off; those of the standard library end silently.
            source = _Xz(file) if ending == ".xz" else pa.input_stream(file, compression=_ARROW[ending])
            yield io.BufferedReader(_Bounded(source, name, path.stat().st_size, decoding.max_expansion))
    except (OSError, lzma.LZMAError) as error:
        raise InvalidInput(f"{name!a} cannot be decompressed: it is damaged or cut off") from error


def is_compressed(path: Path) -> bool:
    """Whether a file has the ending of a compressed format."""
    return path.suffix.lower() in (*_ARROW, ".xz")


def read_whole(path: Path, name: str, decoding: Decoding) -> bytes:
    """The bytes of a file, decompressed; raises `TooLarge` if they are more than a document may have."""
    if not is_compressed(path):
        decoding.check_size(name, path.stat().st_size)  # before it is read
    with open_file(path, name, decoding) as stream:
        content = stream.read(decoding.max_bytes + 1)
    decoding.check_size(name, len(content))
    return content


def check_expansion(name: str, expanded: int, *, size: int, max_expansion: int) -> None:
    """Raise `TooLarge` if a file of `size` bytes expands too much."""
    if expanded > max(FREE_BYTES, size * max_expansion):
        detail = f"{name!a} expands to more than {max_expansion} times its {size} bytes (max_expansion)"
        raise TooLarge(detail)


class _Readable(Protocol):
    def read(self, most: int, /) -> bytes: ...


class _Bounded(io.RawIOBase):
    """A stream whose bytes are counted."""

    def __init__(self, source: _Readable, name: str, size: int, max_expansion: int) -> None:
        self._source, self._name, self._size, self._most = source, name, size, max_expansion
        self._expanded = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self._expanded += len(data)
        check_expansion(self._name, self._expanded, size=self._size, max_expansion=self._most)
        return len(data)


class _Xz:
    """An xz file of one or more streams; unlike `lzma.LZMAFile`, with a limit on the decoder's memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._decoder = file, _xz_decoder()

    def read(self, most: int) -> bytes:
        """Up to `most` bytes; none at the end. Raises `OSError` where the file is cut off, `LZMAError` if damaged."""
        while True:
            given = b""
            if self._decoder.eof:
                if not (given := self._after_padding(self._decoder.unused_data)):
                    return b""
                self._decoder = _xz_decoder()
            elif self._decoder.needs_input and not (given := self._file.read(_READ_BYTES)):
                raise OSError("the file is cut off")
            if data := self._decoder.decompress(given, most):
                return data

    def _after_padding(self, given: bytes) -> bytes:
        while not (given := given.lstrip(b"\0")):
            if not (given := self._file.read(_READ_BYTES)):
                break
        return given


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
