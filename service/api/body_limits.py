"""JSON bodies while they arrive: bytes and values are counted, and what all of them hold in memory is bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request

from service.errors import TooLarge, TooMany, WrongMedia
from service.settings import Settings

SMALL_BODY = 64 * 1024  # bytes of a body that is parsed at once, in a few milliseconds
_UTF8 = re.compile(r'application/(?:[a-z0-9.+-]+\+)?json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?', re.IGNORECASE)


@dataclass
class BodyMemory:
    """The memory that the large JSON bodies of all requests hold together."""

    settings: Settings
    held_bytes: int = 0

    @contextmanager
    def hold(self) -> Iterator[HeldBody]:
        """The body of one request, whose memory counts until the block ends."""
        body = HeldBody(self)
        try:
            yield body
        finally:
            self.held_bytes -= body.counted


@dataclass
class HeldBody:
    """One body."""

    memory: BodyMemory
    counted: int = 0
    parts: list[bytes] = field(default_factory=list)

    async def read(self, request: Request, most_values: int, most_bytes: int | None = None) -> bytes:
        """The whole body; it is refused as soon as it is known to be too large.

        A JSON document has at most one value more than it has commas and opening brackets that are not nested, so
        commas are counted, also those in strings: what has more is not parsed. Deep nesting, which has no commas, the
        parser refuses by itself.

        Raises:
            WrongMedia: it is not declared as JSON.
            TooLarge: more values than `most_values`, more bytes than `most_bytes`, or slower than `json_body_s`.
            TooMany: other large bodies hold all the memory there is for them.
        """
        _check_json(request)
        limits, size, commas = self.memory.settings, 0, 0
        try:
            async with asyncio.timeout(limits.json_body_s):
                async for part in request.stream():
                    size, commas = size + len(part), commas + part.count(b",")
                    if most_bytes is not None and size > most_bytes:
                        raise TooLarge(f"a JSON body is at most {most_bytes} bytes (max_json_bytes)")
                    if commas > most_values:
                        raise TooLarge(f"a JSON body has at most {most_values} values here", field="body")
                    self._count(size)
                    self.parts.append(part)
        except TimeoutError:
            raise TooLarge(f"a JSON body must arrive within {limits.json_body_s:g} s (json_body_s)") from None
        found, self.parts = b"".join(self.parts), []
        return found

    def _count(self, size: int) -> None:
        grown = size - self.counted if size > SMALL_BODY else 0
        if self.memory.held_bytes + grown > self.memory.settings.body_memory_bytes:
            raise TooMany("other large bodies are being read")
        self.counted += grown
        self.memory.held_bytes += grown


def _check_json(request: Request) -> None:
    given = request.headers.get("content-type")
    if (
        given is None
        and request.headers.get("content-length", "0") == "0"
        and "transfer-encoding" not in request.headers
    ):
        return  # an empty body is refused as one
    if not _UTF8.fullmatch((given or "").strip()):
        raise WrongMedia("the body must be application/json, in UTF-8", field="content-type")
