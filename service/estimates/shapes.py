"""Sizes of models and samples, from which amounts of work follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from service.contracts.extraction import ExtractionSpec
from service.contracts.families import FAMILIES
from service.contracts.model_config import ModelConfig
from service.contracts.site_names import SiteNames
from service.contracts.sites import parse_site
from service.contracts.training import (
    PUBLISHED_LINES,
    OpenELMModel,
    QuestionFormationSpec,
    SentenceData,
    TrainingSpec,
)
from service.theory.openelm_size import OpenELMSizes, openelm_size
from service.theory.transformer_size import Gpt2Config, gpt2_size

BYTES_PER_TOKEN = 4.0  # of English text under GPT-2's tokenizer
LINE_TOKENS = 22.0  # of the question-formation language, on average
LINE_WORDS = 70  # its vocabulary
GPT2_VOCABULARY = 50_257


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a Transformer that determine its cost.

    Attributes:
        d_model: width of the residual stream.
        layers: weights of each block's matrices.
        attention: Σ over heads of their width, in each block.
        d_vocab: rows of the embedding.
        parameters: number of all parameters.
        n_ctx: longest context; None where it depends on the training data.
        family: the family in `service.contracts.families`.
        parallel: whether attention and MLP of a block read the same input.
        scored_heads: heads whose attention scores are all held in memory.
        head: numbers of an output map of its own, which `parameters` leaves out; only losses need it.
    """

    d_model: int
    layers: tuple[int, ...]
    attention: tuple[int, ...]
    d_vocab: int
    parameters: int
    n_ctx: int | None = None
    family: str = "gpt2"
    parallel: bool = False
    scored_heads: int = 0
    head: int = 0

    @property
    def site_names(self) -> SiteNames:
        """The names of the model's sites."""
        return SiteNames(FAMILIES[self.family], len(self.layers), self.parallel)

    def forward_flops(self, tokens: float, context: int, depth: int | None = None) -> float:
        """FLOP: 2 per weight and token, and 2·context·width of causal attention per token and block.

        Attention that holds all scores computes those of later positions too, which is twice as much.
        """
        depth = len(self.layers) if depth is None else depth
        of_scores = 4 if self.scored_heads else 2
        per_token = 2 * sum(self.layers[:depth]) + of_scores * context * sum(self.attention[:depth])
        return tokens * per_token

    def training_flops(self, tokens: float, context: int) -> float:
        """FLOP of three forward passes with the output map; the backward pass counts as two."""
        return 3 * (self.forward_flops(tokens, context) + self.output_flops(tokens))

    def output_flops(self, tokens: float) -> float:
        """FLOP of the output map."""
        return tokens * 2 * self.d_vocab * self.d_model


@dataclass(frozen=True)
class SampleShape:
    """The sizes of a sample of chunks.

    Attributes:
        chunks: largest number of chunks that the corpus has.
        rows: number of vectors at each site.
        text_bytes: bytes of text that are tokenised.
        longest_bytes: bytes of the longest document.
        assumed: the assumptions, for people.
    """

    chunks: int
    rows: int
    text_bytes: float
    longest_bytes: float
    assumed: list[str]


def gpt2_shape(config: Gpt2Config) -> ModelShape:
    """The shape of a GPT-2."""
    d = config.d_model
    block = 4 * d * d + 2 * d * (config.d_mlp or 4 * d)
    layers, attention = (block,) * config.n_layers, (d,) * config.n_layers
    return ModelShape(d, layers, attention, config.d_vocab, gpt2_size(config).total, config.n_ctx)


def decoder_shape(config: ModelConfig) -> ModelShape:
    """The shape of a model of any family; biases are left out."""
    family, d = config.family, config.d_model
    head = 0 if config.tied else config.d_vocab * d
    if family.model_type == "gpt2":
        gpt2 = Gpt2Config(config.n_layers, d, config.n_ctx, config.d_vocab, config.d_mlp)
        return replace(gpt2_shape(gpt2), head=head)
    width = config.n_heads * config.d_head
    block = 2 * d * (width + config.n_kv_heads * config.d_head) + (2 + family.gated) * d * config.d_mlp
    norms = (4 if family.norms == "both" else 2) * d
    positions = config.n_ctx * d if family.model_type == "opt" else 0
    total = config.n_layers * (block + norms) + config.d_vocab * d + positions
    return ModelShape(
        d,
        (block,) * config.n_layers,
        (width,) * config.n_layers,
        config.d_vocab,
        total,
        config.n_ctx,
        family.model_type,
        config.parallel,
        config.n_heads if family.scores else 0,
        head,
    )


def training_shape(spec: TrainingSpec, d_vocab: int) -> ModelShape:
    """The shape of the model that a run trains."""
    if isinstance(spec, QuestionFormationSpec):
        model = spec.model
        config = Gpt2Config(model.n_layers, model.d_model, d_vocab=d_vocab, d_mlp=model.d_mlp)
        whole = gpt2_size(config).blocks + d_vocab * (2 * model.d_model + 1)  # the output map is not tied
        return replace(gpt2_shape(config), parameters=whole, n_ctx=None, family="sentence_decoder")
    return _openelm_shape(spec.model, d_vocab)


def _openelm_shape(model: OpenELMModel, d_vocab: int) -> ModelShape:
    given = tuple(model.query_heads), tuple(model.kv_heads), tuple(model.d_mlp)
    config = OpenELMSizes(model.d_model, *given, model.d_head, d_vocab)
    layers = tuple(
        2 * model.d_model * model.d_head * (queries + pairs) + 3 * model.d_model * width
        for queries, pairs, width in zip(*given, strict=True)
    )
    attention = tuple(heads * model.d_head for heads in model.query_heads)
    return ModelShape(model.d_model, layers, attention, d_vocab, openelm_size(config).total, model.n_ctx, "openelm")


def lines_of(data: SentenceData) -> dict[str, float]:
    """Lines of each split; those of files that are not counted here are taken for as many as the published ones."""
    return {name: getattr(data, name) or published for name, published in PUBLISHED_LINES.items()}


def run_tokens(spec: TrainingSpec) -> tuple[float, int]:
    """Tokens of one step, and tokens of one context."""
    if isinstance(spec, QuestionFormationSpec):
        return spec.batch * LINE_TOKENS, round(LINE_TOKENS)
    return float(spec.batch * spec.model.n_ctx), spec.model.n_ctx


def sample_shape(
    spec: ExtractionSpec, documents: int | None, text_bytes: int | None, longest_bytes: int | None = None
) -> SampleShape:
    """Chunks of a corpus of that size, and the bytes that are tokenised for them; None: the size is unknown."""
    per_document = None if spec.chunks_per_document == "all" else spec.chunks_per_document
    chunks, read, longest = spec.chunks, spec.chunks * spec.chunk_tokens * BYTES_PER_TOKEN, float(longest_bytes or 0)
    assumed = ["the corpus was not counted, so it is assumed to have as many chunks as the spec"]
    if documents is not None and text_bytes is not None:
        assumed = [f"{BYTES_PER_TOKEN:g} bytes of text are one token"]
        there = int(text_bytes / BYTES_PER_TOKEN / spec.chunk_tokens)
        of_documents = there if per_document is None else min(there, documents * per_document)
        chunks = min(chunks, of_documents)
        if chunks < min(spec.chunks, there):
            assumed.append(
                f"{documents} documents give {chunks} chunks, as chunks_per_document is {per_document}; "
                f'chunks_per_document: "all" gives about {min(there, spec.chunks)}'
            )
        read = text_bytes * _tokenised_share(spec, documents, text_bytes)
        longest = longest or text_bytes / max(1, documents)  # of a corpus that an earlier version counted
    rows = chunks * (spec.chunk_tokens if spec.position == "all" else 1)
    return SampleShape(chunks, rows, read, longest, assumed)


def depth_of(sites: list[str], n_layers: int) -> int:
    """Number of blocks in a forward pass to the last of these sites."""
    found = [parse_site(site, n_layers) for site in sites]
    return min(n_layers, max(site.layer + (site.hook != "resid_pre") for site in found))


def _tokenised_share(spec: ExtractionSpec, documents: int, text_bytes: int) -> float:
    """Share of the documents that may still enter the sample when they are read, and so are tokenised.

    n chunks are kept. After i documents of c chunks each, a document enters with probability n / i, and may enter, as
    far as its bytes show (t chunks at most), with min(1, n·t / (i·c)): n·t/c · (1 + log(i·c / (n·t))) documents in all.
    """
    most = max(1.0, text_bytes / max(1, documents) / spec.chunk_tokens)
    limit = float("inf") if spec.chunks_per_document == "all" else spec.chunks_per_document
    entering = spec.chunks * min(most, limit) / min(max(1.0, most / BYTES_PER_TOKEN), limit)
    return min(1.0, entering / max(1, documents) * (1 + log(max(1.0, documents / entering))))
