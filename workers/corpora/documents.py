"""A document, and decoding its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import InvalidInput, TooLarge

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """One text of a corpus; `replaced` when bytes that are not UTF-8 were replaced by U+FFFD."""

    id: str
    text: str
    replaced: bool = False


@dataclass(frozen=True)
class Decoding:
    """How bytes become text: `strict` refuses what is not UTF-8, `replace` records that it replaced."""

    errors: str = "strict"
    max_bytes: int = 256 * 2**20

    def document(self, document_id: str, raw: bytes, *, offset: int = 0) -> Document:
        """Decode `raw`, which starts at byte `offset` of its file; a byte-order mark at byte 0 is dropped.

        Raises:
            InvalidInput: not UTF-8, naming the document and the byte offset.
            TooLarge: longer than `max_bytes`.
        """
        if len(raw) > self.max_bytes:
            raise TooLarge(f"document {document_id!a} is longer than {self.max_bytes} bytes")
        skipped = len(_BOM) if offset == 0 and raw.startswith(_BOM) else 0
        try:
            return Document(document_id, raw[skipped:].decode("utf-8"))
        except UnicodeDecodeError as error:
            if self.errors == "replace":
                return Document(document_id, raw[skipped:].decode("utf-8", errors="replace"), replaced=True)
            at = offset + skipped + error.start
            raise InvalidInput(f"{document_id!a} is not UTF-8 at byte {at}; errors=replace accepts it") from error
