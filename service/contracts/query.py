"""A query of an activation set: the rows nearest to texts or vectors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from service.contracts.base import Contract, Identifier, RequestContract
from service.contracts.energy import Beta, Rows

Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class QueryRequest(RequestContract):
    """Body of `POST /v1/activations/{id}/query`: either texts, run through the set's own model, or vectors."""

    texts: Texts | None = None
    vectors: Rows | None = None
    k: int = Field(default=10, ge=1, le=64, description="nearest rows returned")
    beta: Beta = 1.0

    @model_validator(mode="after")
    def _one_source(self) -> QueryRequest:
        if (self.texts is None) == (self.vectors is None):
            raise ValueError("give texts or vectors, and not both")
        return self


class NearRow(Contract):
    """A row of the set near a query; text is null for imported vectors, which may have an id and a label instead."""

    row: int
    distance: float
    id: str | None = None
    label: str | None = None
    document: str | None
    offset: int | None
    text: str | None
    position: int | None = Field(default=None, description="token of the text whose vector the row is, from 0")
    tokens: int | None = Field(default=None, description="length of the text")


class QueryResult(Contract):
    """One text or vector among the rows; a row equal to it is not excluded."""

    nn_distance: float = Field(description="L2 distance to the nearest row")
    radius: float = Field(description="half of nn_distance")
    g: float = Field(description="nn_distance², eq. (3)")
    energy: float = Field(description="E at the requested β, over all rows")
    energy_mchn: float = Field(description="E_MCHN at that β, over all rows")
    percentile: float | None = Field(description="share of the set's own nn_distances that are not larger, in %")
    tokens: int | None = Field(description="length of the text; null for a vector")
    neighbors: list[NearRow]


class QueryAnswer(Contract):
    """Answer of `POST /v1/activations/{id}/query`."""

    activations: Identifier
    n: int
    d_model: int
    site: str | None
    beta: float
    percentile_of: Identifier | None = Field(description="the radius report that the percentile is taken from")
    results: list[QueryResult]
    notes: list[str]
