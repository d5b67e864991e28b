"""Training: model, data and optimisation of a run, and what the run reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from service.contracts.base import Contract, Identifier, JobState, Notice, RequestContract, Seed, Text
from service.contracts.extraction import distinct
from service.contracts.sites import SITE_PATTERN

Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[list[Width], Field(min_length=1, max_length=256)]
Share = Annotated[float, Field(ge=0, lt=1)]
Lexicon = Literal["standard", "half_nouns", "one_noun", "nouns_x2", "nouns_x10", "nouns_x100"]
Lines = Annotated[int | None, Field(ge=1, le=1_000_000)]
PUBLISHED_LINES = {"train": 100_000, "val": 1_000, "test": 10_000, "generalisation": 10_000}
BYTES = "bytes"  # in place of a tokenizer: one token per byte
Experiment = Literal["question_formation", "openelm"]


class Optimisation(RequestContract):
    """AdamW and its learning rate: linear warm-up to `peak_lr`, then `schedule` towards `final_lr_share` of it."""

    peak_lr: float = Field(gt=0, le=10, description="largest learning rate")
    warmup_steps: int = Field(default=0, ge=0, description="steps in which the learning rate rises from 0")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="cosine", description="how the learning rate falls after the warm-up"
    )
    decay_steps: int | None = Field(default=None, ge=1, description="step at which the schedule ends; null: the last")
    final_lr_share: float = Field(default=0.1, ge=0, le=1, description="last learning rate over the largest")
    weight_decay: float = Field(default=0.1, ge=0, le=10, description="for matrices; biases and norms have none")
    beta1: Share = Field(default=0.9, description="AdamW: decay of the mean gradient")
    beta2: Share = Field(default=0.95, description="AdamW: decay of the mean squared gradient")
    eps: float = Field(default=1e-8, gt=0, le=1, description="AdamW: added to the denominator")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")


_OwnSite = Annotated[str, StringConstraints(pattern=SITE_PATTERN, max_length=64)]


class RunRadius(RequestContract):
    """The radius of a fixed sample of the run's own held-out data, measured in every kept model."""

    sites: Annotated[list[_OwnSite], Field(min_length=1, max_length=64), AfterValidator(distinct)] = Field(
        default=["blocks.-1.hook_resid_post", "final_norm_out"], description="places where the vectors are read"
    )
    rows: int = Field(default=2_000, ge=2, le=1_000_000, description="largest number of held-out lines, or windows")
    tokens: Width = Field(
        default=64, description="length of a window; a line is read whole. The vector is that of the last token"
    )


class Keep(RequestContract):
    """The choice of kept models that stay. A model that a job names stays in any case."""

    best: bool = Field(
        default=False,
        description="also the model of the least validation loss, the earliest of equal ones; each evaluation counts",
    )
    last: int = Field(default=1, ge=1, le=10_000, description="the newest so many of the models kept regularly")


class RunOptions(RequestContract):
    """The common options of both experiments; a batch is the global batch of one optimiser step."""

    preset: Text | None = Field(default=None, description="the preset these values came from")
    steps: int = Field(ge=1, le=10_000_000, description="optimiser steps")
    batch: int = Field(ge=1, le=2**20, description="lines or sequences of one step")
    micro_batch: int | None = Field(
        default=None, ge=1, description="lines or sequences of one backward pass; null: the whole batch"
    )
    log_every: int = Field(default=1, ge=1, description="steps between two rows of the metrics")
    logged_loss: Literal["batch", "micro_batch"] = Field(
        default="batch",
        description="train_loss of the metrics: of the whole batch, or of its first micro-batch, which varies more",
    )
    eval_every: int = Field(ge=1, description="steps between two evaluations, dropout off")
    checkpoint_every: int | None = Field(
        default=None, ge=1, description="steps between two kept models; null: the end, or with `keep` each evaluation"
    )
    keep: Keep | None = Field(
        default=None, description="which kept models stay while newer ones are published; null: all of them"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 autocast on a GPU, float32 on a CPU"
    )
    compile: bool = Field(default=False, description="torch.compile of the blocks; a CPU needs a C++ compiler for it")
    seed: Seed = 0
    optimisation: Optimisation
    radius: RunRadius | None = Field(
        default=None, description="measured in the kept models after training; null: not measured"
    )

    @property
    def kept_every(self) -> int | None:
        """Steps between two models that are kept regularly; None where only that of the end is."""
        return self.checkpoint_every or (None if self.keep is None else self.eval_every)

    @model_validator(mode="after")
    def _micro_batches_fit(self) -> RunOptions:
        if self.micro_batch is not None and self.micro_batch > self.batch:
            raise ValueError("micro_batch is at most batch")
        return self


class SentenceData(RequestContract):
    """Lines of the question-formation language: generated, or the original files in a folder of the corpora root."""

    folder: Text | None = Field(
        default=None, description="folder of question.train, .val/.dev, .test, .gen; numbers of lines are then left out"
    )
    lexicon: Lexicon = Field(
        default="standard", description="the 68 words, or a control lexicon of a different entropy"
    )
    train: Lines = Field(default=None, validate_default=True, description="generated lines; null: 100,000")
    val: Lines = Field(default=None, validate_default=True, description="null: 1,000")
    test: Lines = Field(default=None, validate_default=True, description="i.i.d.; null: 10,000")
    generalisation: Lines = Field(
        default=None, validate_default=True, description="questions of a withheld kind; null: 10,000"
    )
    seed: Seed | None = Field(default=None, description="seed of the lines; null: that of the run")

    @field_validator(*PUBLISHED_LINES)
    @classmethod
    def _lines_of_files(cls, lines: int | None, about: ValidationInfo) -> int | None:
        if about.data.get("folder") is None:
            return PUBLISHED_LINES[str(about.field_name)] if lines is None else lines
        if lines is not None:
            raise ValueError("the files of data.folder determine the numbers of lines")
        return None


class SentenceModel(RequestContract):
    """A post-norm decoder with sinusoidal positions, as trained by Murty et al. 2023."""

    n_layers: int = Field(default=6, ge=1, le=256, description="decoder blocks")
    d_model: Width = Field(default=512, description="width of the residual stream")
    n_heads: Width = Field(default=8, description="attention heads of a block")
    d_mlp: Width = Field(default=2048, description="width of the feed-forward layer")
    dropout: Share = Field(default=0.1, description="share of activations set to 0 in training")

    @model_validator(mode="after")
    def _heads_divide(self) -> SentenceModel:
        if self.d_model % self.n_heads or self.d_model % 2:
            raise ValueError("d_model must be even and a multiple of n_heads")
        return self


class QuestionFormationSpec(RunOptions):
    """Appendix F.2: a decoder that learns the question-formation language as one sequence per line."""

    experiment: Literal["question_formation"] = Field(default="question_formation", description="this experiment")
    data: SentenceData = SentenceData()
    model: SentenceModel = SentenceModel()
    loss: Literal["line", "declarative", "output", "sum"] = Field(
        default="line", description="line: mean over all tokens of a line (the paper's); sum: per line"
    )
    generalisation_lines: int = Field(
        default=1_000,
        ge=1,
        description="lines of the withheld kind that each evaluation samples; the last one uses all",
    )


class TokenData(RequestContract):
    """One long array of tokens: a corpus, tokenised; its tail is for validation."""

    corpus: Text = Field(description="id or name of a corpus; SPGC token files are one")
    tokenizer: Text = Field(
        default="openai-community/gpt2", description="model whose tokenizer is used; bytes: one token per byte"
    )
    tokens: int | None = Field(default=None, ge=2, description="D: the first tokens of the training part; null: all")
    words: int | None = Field(
        default=None, ge=1, description="first so many words of the corpus, as the paper takes 180M of SPGC; null: all"
    )
    deduplicate: bool = Field(default=False, description="leave out every paragraph that occurred earlier")
    validation_share: float = Field(default=0.05, gt=0, lt=1, description="share of the tokens held out, at the end")
    validation_windows: int = Field(
        default=320,
        ge=1,
        le=10_000_000,
        description="largest number per evaluation; they are spread over the tail without overlap",
    )


class OpenELMModel(RequestContract):
    """An OpenELM, layer by layer; the dropouts are the paper's, not OpenELM's."""

    d_model: Width = Field(description="width of the residual stream")
    query_heads: Layers = Field(description="query heads of each layer")
    kv_heads: Layers = Field(description="key and value heads of each layer")
    d_mlp: Layers = Field(description="width of the feed-forward part of each layer")
    d_head: Width = Field(default=64, description="width of a head")
    n_ctx: int = Field(default=1024, ge=2, le=2**16, description="tokens of a window")
    attention_dropout: Share = Field(default=0.1, description="share of attention weights set to 0 in training")
    embedding_dropout: Share = Field(default=0.1, description="share of embedding values set to 0 in training")
    initialisation: Literal["corenet", "hugging_face"] = Field(
        default="hugging_face", description="whose initial distribution of the weights"
    )

    @model_validator(mode="after")
    def _lists_agree(self) -> OpenELMModel:
        if not len(self.query_heads) == len(self.kv_heads) == len(self.d_mlp):
            raise ValueError("query_heads, kv_heads and d_mlp have one number per layer")
        if any(heads % kv for heads, kv in zip(self.query_heads, self.kv_heads, strict=True)):
            raise ValueError("query_heads must be multiples of kv_heads")
        if self.d_head % 2:
            raise ValueError("d_head must be even")
        return self


class OpenELMSpec(RunOptions):
    """Appendix F.3: an OpenELM on random windows of one token array."""

    experiment: Literal["openelm"] = Field(default="openelm", description="this experiment")
    data: TokenData
    model: OpenELMModel
    window_steps: int = Field(
        default=1000, ge=1, le=10**9, description="steps before and after the least validation loss whose MSE is taken"
    )


TrainingSpec = QuestionFormationSpec | OpenELMSpec
EXPERIMENTS: dict[str, type[QuestionFormationSpec] | type[OpenELMSpec]] = {
    "question_formation": QuestionFormationSpec,
    "openelm": OpenELMSpec,
}


_STATE = "that of the job; in a sweep the run's own, queued until its first steps are saved"


class Checkpoint(Contract):
    """A kept model; `model` is what an extraction names."""

    step: int
    model: str
    sha256: str
    val_loss: float | None = Field(description="null where the model was not evaluated")


class TrajectoryPoint(Contract):
    """One site of one kept model: distances to the nearest other row of the sample, beside measures of scale."""

    step: int
    site: str
    n: int
    nn_distance: float = Field(description="mean; the radius is half")
    nn_distance_median: float
    g: float = Field(description="mean squared distance to the nearest other row, eq. (3)")
    null_nn_distance: float = Field(description="mean in Gaussian draws of the same mean and covariance")
    norm: float = Field(description="mean norm of the rows about their mean")
    duplicates: int


class TrainingRun(Contract):
    """`GET /v1/training/{id}`: updated during the run; losses are in nats per token."""

    id: Identifier
    job: Identifier
    name: str
    experiment: Experiment
    state: JobState = Field(description=_STATE)
    error: dict[str, str] | None = Field(description="why the run failed: code, detail")
    spec: dict[str, Any]
    step: int
    steps: int
    tokens: int = Field(description="tokens trained on so far")
    parameters: dict[str, int] = Field(description="counts: total, and without embeddings")
    reference_lines: dict[str, float] = Field(description="losses to compare with, computed for the run's own data")
    data: dict[str, Any] = Field(description="the run's data: counts, checks, hashes")
    losses: dict[str, float | None] = Field(description="the newest: train_loss, val_loss, and parts of val_loss")
    evaluation: dict[str, Any] = Field(description="accuracies of the newest evaluation, and of the end")
    checkpoints: list[Checkpoint]
    trajectory: list[TrajectoryPoint] = Field(description="the radius during training, where `radius` is in the spec")
    warnings: list[Notice]
    notes: list[str] = Field(description="what the numbers mean, and what they do not show")
    timing: dict[str, float]
    provenance: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


class TrainingSummary(Contract):
    """A run in the listing."""

    id: Identifier
    job: Identifier
    name: str
    experiment: Experiment
    state: JobState = Field(description=_STATE)
    step: int
    steps: int
    losses: dict[str, float | None]
    created_at: datetime
    finished_at: datetime | None
    href: str


class MetricsRow(Contract):
    """One logged step: the loss of a batch (`logged_loss`), dropout on; `val_loss` is without, where evaluated."""

    step: int
    tokens: int
    train_loss: float
    val_loss: float | None
    lr: float
    grad_norm: float
    details: dict[str, float] = Field(default={}, description="parts of val_loss, accuracies")
