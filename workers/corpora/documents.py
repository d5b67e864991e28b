"""Documents, and the decoding of their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.errors import InvalidInput, TooLarge

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """One text of a corpus; `replaced` when bytes that are not UTF-8 were replaced by U+FFFD."""

    id: str
    text: str
    replaced: bool = False


@dataclass(frozen=True)
class Decoding:
    """Decodes bytes as UTF-8: `strict` refuses invalid bytes, `replace` replaces them and records it."""

    errors: str = "strict"
    max_bytes: int = 256 * 2**20

    def document(self, document_id: str, raw: bytes, *, offset: int = 0, mark: bool = True) -> Document:
        """Decode `raw`, which starts at byte `offset` of its file; a byte-order mark there is dropped if `mark`.

        Raises:
            InvalidInput: not UTF-8, naming the document and the byte offset.
            TooLarge: longer than `max_bytes`.
        """
        self.check_size(document_id, len(raw))
        skipped = len(BOM) if mark and offset == 0 and raw.startswith(BOM) else 0
        try:
            return Document(document_id, raw[skipped:].decode("utf-8"))
        except UnicodeDecodeError as error:
            if self.errors == "replace":
                return Document(document_id, raw[skipped:].decode("utf-8", errors="replace"), replaced=True)
            at = offset + skipped + error.start
            raise InvalidInput(f"{document_id!a} is not UTF-8 at byte {at}; errors=replace accepts it") from error

    def well_formed(self, document_id: str, text: str) -> Document:
        """A document of a string, which may hold a lone surrogate (JSON can encode one): that is invalid in UTF-8."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if self.errors == "replace":
                repaired = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
                return Document(document_id, repaired, replaced=True)
            raise InvalidInput(f"{document_id!a} has a lone surrogate; errors=replace accepts it") from error
        return Document(document_id, text)

    def read_file(self, path: Path, name: str) -> bytes:
        """The bytes of a file of one or several documents; its size is checked before it is read."""
        self.check_size(name, path.stat().st_size)
        return path.read_bytes()

    def check_size(self, document_id: str, size: int) -> None:
        """Raise `TooLarge` for a document longer than `max_bytes`."""
        if size > self.max_bytes:
            raise TooLarge(f"document {document_id!a} is longer than {self.max_bytes} bytes")
