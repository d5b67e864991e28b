"""Multipart forms: files go to their disk while they arrive, once; what else a form has is small, known and given once.

An upload leaves the reserve of the disk free, as jobs do.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from service.artifacts.atomic import storage_errors
from service.errors import InvalidInput, StorageFull, TooLarge, WrongMedia
from service.settings import Settings

_FIELD_BYTES = 64 * 1024  # of a form's field that is no file; the longest legal one has some hundred
_TOGETHER = 2**20  # bytes that are written at once


@dataclass
class UploadedFile:
    """A file of a form: where it was written, and the name that the client gave it, which is used for no path."""

    path: Path
    client_name: str
    size: int = 0


@dataclass
class UploadForm:
    """The contents of a form."""

    files: dict[str, UploadedFile] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


def is_multipart(request: Request) -> bool:
    """Whether the request says that its body is a form with files."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


@asynccontextmanager
async def received_form(
    request: Request, settings: Settings, *, files: Collection[str], fields: Collection[str]
) -> AsyncIterator[UploadForm]:
    """The form of a request; its files are removed at the end, unless they were moved.

    Args:
        files, fields: names that a form may have.

    Raises:
        WrongMedia: no multipart form.
        InvalidInput: a fault of its form, an unknown or repeated name; naming it.
        TooLarge: a field is too long.
        StorageFull: the files would leave less than the reserve free.
    """
    if not is_multipart(request):
        raise WrongMedia("the body must be multipart/form-data with a file", field="content-type")
    reader = _Reader(settings, files, fields)
    try:
        check_space(settings, declared_bytes(request))
        parser = reader.parser(request.headers["content-type"])
        with storage_errors(), _faults():
            async for part in request.stream():
                parser.write(part)
                if reader.pending_bytes >= _TOGETHER:
                    await run_in_threadpool(reader.flush)
            await run_in_threadpool(reader.flush)
            parser.finalize()
        reader.check_ended()
        yield reader.form
    finally:
        await asyncio.shield(run_in_threadpool(reader.close))  # deletes up to gigabytes, also of a client that is gone


def declared_bytes(request: Request) -> int:
    """The length of the body as its header says; 0 where it has none."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else 0


def check_space(settings: Settings, wanted: int) -> None:
    """Raise `StorageFull` unless so many bytes fit on the disk beside the reserve."""
    if shutil.disk_usage(settings.uploads_root).free - wanted < settings.disk_reserve_bytes:
        detail = "an upload of this size would leave less than the reserve free on the data directory's disk"
        raise StorageFull(f"{detail} (disk_reserve_bytes)")


@contextmanager
def _faults() -> Iterator[None]:
    """Turn a fault of the format into `InvalidInput`."""
    try:
        yield
    except FormParserError as error:
        raise InvalidInput("the body is not valid multipart/form-data", field="body") from error


class _Reader:
    """The callbacks of the parser: they keep fields, and the pieces of files until these are written."""

    def __init__(self, settings: Settings, files: Collection[str], fields: Collection[str]) -> None:
        self.form, self.pending_bytes = UploadForm(), 0
        self._settings, self._files, self._fields = settings, files, fields
        self._pending: list[tuple[BinaryIO, bytes]] = []
        self._open: list[BinaryIO] = []
        self._header, self._value, self._disposition = b"", b"", b""
        self._name: str | None = None
        self._data = bytearray()
        self._stream: BinaryIO | None = None
        self._ended = False

    def parser(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise InvalidInput("multipart/form-data needs a boundary", field="content-type")
        with _faults():
            return MultipartParser(boundary, {
                "on_part_begin": self._begin,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._start,
                "on_part_data": self._add,
                "on_part_end": self._end,
                "on_end": self._finish,
            })  # fmt: skip

    def check_ended(self) -> None:
        """Refuse a form without its last boundary."""
        if not self._ended:
            raise InvalidInput("the multipart body ends before its last boundary", field="body")

    def flush(self) -> None:
        """Write what is pending."""
        check_space(self._settings, self.pending_bytes)
        for stream, data in self._pending:
            stream.write(data)
        self._pending, self.pending_bytes = [], 0
        if self._ended:
            for stream in self._open:
                stream.close()

    def close(self) -> None:
        """Close and remove the files that were not moved."""
        for stream in self._open:
            stream.close()
        for file in self.form.files.values():
            file.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._disposition, self._name, self._stream = b"", None, None
        self._data = bytearray()

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _start(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise InvalidInput("a part of the form has no Content-Disposition: form-data with a name", field="body")
        name = self._name = _text(options[b"name"], "body")
        if name not in self._files and name not in self._fields:
            known = ", ".join([*self._files, *self._fields])
            raise InvalidInput(f"the form has a field that is none of {known}", field="body")
        if name in self.form.files or name in self.form.fields:
            raise InvalidInput("the field is given twice", field=name)
        if b"filename" in options:
            if name not in self._files:
                raise InvalidInput("the field is no file", field=name)
            self._stream = self._create(name, _text(options[b"filename"], name))
        elif name not in self._fields:
            raise InvalidInput("the field must be a file", field=name)

    def _create(self, name: str, client_name: str) -> BinaryIO:
        path = self._settings.uploads_root / f".{name}.{secrets.token_hex(6)}.tmp"
        stream = path.open("xb")
        self._open.append(stream)
        self.form.files[name] = UploadedFile(path, client_name)
        return stream

    def _add(self, data: bytes, start: int, end: int) -> None:
        assert self._name is not None
        if self._stream is not None:
            self._pending.append((self._stream, data[start:end]))
            self.pending_bytes += end - start
            self.form.files[self._name].size += end - start
            return
        self._data += data[start:end]
        if len(self._data) > _FIELD_BYTES:
            raise TooLarge(f"a field of a form has at most {_FIELD_BYTES} bytes", field=self._name)

    def _end(self) -> None:
        assert self._name is not None
        if self._stream is None:
            self.form.fields[self._name] = _text(bytes(self._data), self._name)

    def _finish(self) -> None:
        self._ended = True


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("is not UTF-8", field=name) from None
