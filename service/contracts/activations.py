"""Activation sets: (n, d_model) vectors of one site, with what is known of each row."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.contracts.base import Contract, Identifier, Name, RequestContract, Text


class ImportFields(RequestContract):
    """The form fields of an import, beside its files."""

    name: Name = "imported"
    tensor: Text | None = Field(default=None, description="name of the tensor in a .safetensors file of several")


class ActivationStatistics(Contract):
    """Computed in float64 over all rows while the set is written."""

    norm_mean: float
    norm_min: float
    norm_max: float
    top5_share: float = Field(description="share of the summed squared norm in its five largest dimensions")
    top5_dimensions: list[int]
    top5_variance_share: float = Field(description="the same share of the variance, on which distances depend")
    zero_rows: int


class ActivationSummary(Contract):
    """A row of `GET /v1/activations`."""

    id: Identifier
    name: str
    job: str | None = None
    site: str | None = None
    n: int
    d_model: int
    dtype: Literal["float16", "float32", "float64"]
    sha256: str = Field(description="SHA-256 of the manifest, which has that of every file")
    created_at: datetime


class ActivationDetail(ActivationSummary):
    """`GET /v1/activations/{id}`: the manifest and what was measured while writing."""

    statistics: ActivationStatistics
    manifest: dict[str, Any]


class ActivationRow(Contract):
    """One stored row; text and token are null for imported vectors, which may have an id and a label instead."""

    row: int
    id: str | None = None
    label: str | None = None
    document: str | None = None
    offset: int | None = None
    position: int | None = None
    token_id: int | None = None
    text: str | None = None
    loss: float | None = Field(default=None, description="mean next-token loss of the chunk, in nats per token")
    vector: list[float] | None = None
