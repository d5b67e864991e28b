"""Extraction: a sample of chunks of a corpus, run through a model, read at one or more sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, TypeAdapter, model_validator

from service.contracts.base import RequestContract, Seed, Text
from service.contracts.site_names import LONGEST_NAME, is_known

NOT_IN_VECTORS = {"sites", "preset", "reuse", "loss"}  # fields that do not change the vectors of a site


def known(site: str) -> str:
    """`site`, if it is the name of a site in any family."""
    if not is_known(site):
        raise ValueError("a site is blocks.{i}.hook_{name}, final_norm_out, or another name that /v1/sites gives")
    return site


SiteName = Annotated[str, StringConstraints(max_length=LONGEST_NAME), AfterValidator(known)]


def distinct(sites: list[str]) -> list[str]:
    """`sites`, unless one is named twice."""
    if len(set(sites)) != len(sites):
        raise ValueError("a site is named twice")
    return sites


_NamedSites = Annotated[list[SiteName], Field(min_length=1, max_length=128), AfterValidator(distinct)]
_LISTED = TypeAdapter(_NamedSites, config={"strict": True})


def _listed_unless_all(sites: Any) -> Any:
    """The word "all", or the list with one error for each fault; a union would give one for each alternative."""
    return sites if sites == "all" else _LISTED.validate_python(sites)


Sites = Annotated[
    list[str] | Literal["all"],
    BeforeValidator(_listed_unless_all, json_schema_input_type=_NamedSites | Literal["all"]),
]


class ExtractionSpec(RequestContract):
    """An extraction. The defaults are the paper's (appendix F.1), at the two readings of "the last layer"."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    model: Text = Field(description="hub id, or a folder under the models root")
    revision: Text | None = Field(default=None, description="commit or tag of a hub model")
    corpus: Text = Field(description="id or name of a corpus, or a built-in")
    sites: Sites = Field(
        default=["blocks.-1.hook_resid_post", "final_norm_out"],
        description="places where a vector is read, `blocks.{i}.hook_resid_post` and others; `all`: every one",
    )
    chunk_tokens: int = Field(
        default=256, ge=1, le=2**20, description="consecutive tokens of a chunk; a shorter rest is dropped"
    )
    chunks: int = Field(
        default=80_000, ge=1, le=2**40, description="chunks to sample; where the corpus has fewer, all of them"
    )
    chunks_per_document: Literal["all"] | Annotated[int, Field(ge=1, le=2**31)] = Field(
        default=1, description="chunks that one document may give at most; 1 keeps the rows independent"
    )
    position: Literal["last", "all"] | Annotated[int, Field(ge=0, lt=2**20)] = Field(
        default="last", description="token of the chunk whose vector is kept, counted from 0; `all`: a row for each"
    )
    bos: Literal["none", "model"] = Field(
        default="none",
        description="model: the BOS token of the model's tokenizer precedes each chunk; it is not counted in "
        "chunk_tokens, position counts from the first token of the text, and the loss too leaves that token out",
    )
    seed: Seed = 0
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="data type of the forward pass"
    )
    loss: bool = Field(
        default=False,
        description="store each chunk's mean next-token loss too; every block and the output map are then computed",
    )
    reuse: bool = Field(
        default=True,
        description="reuse finished sets of the same model, chunks and settings; false: compute them again",
    )

    @model_validator(mode="after")
    def _a_next_token(self) -> Self:
        if self.loss and self.chunk_tokens < 2:
            raise ValueError("loss needs chunks of two tokens or more: the first one is not predicted")
        return self

    def is_served_with(self, *, loss: bool) -> bool:
        """Whether sets of the same extraction, made with that `loss`, have all that this spec requires.

        With a loss the whole chunk is read, so that vectors at a fixed position come from other batches and may differ
        in their last bits.
        """
        return self.loss == loss or (loss and not isinstance(self.position, int))

    @property
    def named_sites(self) -> list[str]:
        """The sites, of a spec in which "all" has been replaced by those of its model."""
        assert self.sites != "all"
        return self.sites


def vector_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an extraction's spec, as JSON, that decide its vectors; specs of earlier versions have no `bos`."""
    unset = {"bos"} if spec.get("bos", "none") == "none" else set[str]()
    names = ExtractionSpec.model_fields.keys() - NOT_IN_VECTORS - unset
    return {name: spec.get(name) for name in names}
