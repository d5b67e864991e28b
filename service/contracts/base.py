"""The common parts of all contracts: strict models, safe strings, pages."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")


class Contract(BaseModel):
    """A request or an answer: unknown fields are refused, numbers are finite, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RequestContract(Contract):
    """A request of a client: no conversions, `"5"` and `true` are not numbers."""

    model_config = ConfigDict(strict=True)


def _printable(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("control characters and lone surrogates are not allowed")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Labels = Annotated[dict[Name, Text], Field(max_length=32)]
WorkerRole = Literal["control", "compute", "train", "query"]
Seed = Annotated[int, Field(ge=0, lt=2**63, description="the same seed on the same device gives the same bits")]
JobState = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]


class Page(Contract, Generic[Item]):
    """One page of a listing; `next` is the cursor for `?after=`, null on the last page."""

    data: list[Item]
    next: str | None


class Notice(Contract):
    """A remark on a result, with a stable code."""

    code: str
    message: str


class Problem(Contract):
    """`application/problem+json` (RFC 9457) with a stable `code`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None
    request_id: str | None = Field(default=None, description="of an unexpected error: the log's lines have it too")


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
