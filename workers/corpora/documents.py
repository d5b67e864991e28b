"""Documents, and the decoding of their bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.errors import InvalidInput, TooLarge

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """One text of a corpus; `replaced` when bytes that are not UTF-8 were replaced by U+FFFD."""

    id: str
    text: str
    replaced: bool = False


@dataclass
class LeftOut:
    """Counts of what a reading of a corpus has left out so far, see `CorpusCounts`."""

    rows_without_text: int = 0
    hidden_files: int = 0
    other_files: int = 0


@dataclass(frozen=True)
class Decoding:
    """Options by which bytes of files become documents, and the limits of both.

    Attributes:
        errors: `strict` refuses bytes that are not UTF-8, `replace` replaces them and records it.
        max_bytes: longest document.
        max_expansion: largest text of a compressed file, as a multiple of the file.
        skip_rows_without_text: leave out and count rows without text, instead of refusing them.
        left_out: where they are counted.
    """

    errors: str = "strict"
    max_bytes: int = 256 * 2**20
    max_expansion: int = 200
    skip_rows_without_text: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)

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

    def no_text(self, detail: str) -> None:
        """Count a row that has no text; raises `InvalidInput` with the detail unless such rows are left out."""
        if not self.skip_rows_without_text:
            raise InvalidInput(f"{detail}; skip_rows_without_text=true leaves such rows out", field="text_field")
        self.left_out.rows_without_text += 1

    def check_size(self, document_id: str, size: int) -> None:
        """Raise `TooLarge` for a document longer than `max_bytes`."""
        if size > self.max_bytes:
            raise TooLarge(f"document {document_id!a} is longer than {self.max_bytes} bytes")
