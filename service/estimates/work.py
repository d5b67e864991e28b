"""The work of each kind of job by stage; a stage has the name of its segments in `workers/flows`."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from service.contracts.energy import EnergyOptions
from service.contracts.extraction import ExtractionSpec
from service.contracts.radius import LISTED, RadiusOptions
from service.contracts.training import OpenELMSpec, TrainingSpec
from service.estimates.pricing import Work
from service.estimates.shapes import LINE_TOKENS, ModelShape, SampleShape, lines_of, run_tokens
from service.estimates.shards import GPU_BATCH_TOKENS, chunk_context, chunk_flops, chunks_of_shard
from service.settings import MIB, Settings

PROCESS_BYTES = 640 * MIB  # of an idle compute worker: torch, transformers, FAISS
_ROW_NUMBERS = 32  # of 8 bytes, kept by a search for every row beside its encoding
_PAIR_BYTES = 128  # of a neighbour in a list: candidates, their distances, and both sorted
_TOKENISING_BYTES = 192 * MIB  # of the pieces of text that are tokenised at once
_DOCUMENT_COPIES = 12  # bytes of memory for a byte of a document: its text, read and decoded, and its tokens
_CHUNK_BYTES = 300  # of a chunk's ids, ends and Python objects, beside tokens and text
_FORWARD_VECTORS = 24  # of d_model numbers: most that a token of a batch has within a block
_SCORES = 3  # numbers for each score that attention holds: the score, its exponential, the probability
_TRAINING_VECTORS = 34  # the same, kept for the backward pass in every block
_REPORT_BYTES = MIB  # of a report: arrays per row are counted, figures are small
_LOGITS_BYTES = 128 * MIB  # of the positions whose loss is computed at once, on a CPU
_STORED_BYTES = 4  # of a number of a row
_ENCODED_BYTES = 2  # of a number in the filter's format
_LONG_LISTS = 3.5  # a search of 64 neighbours over one of the nearest in four fractions
_NULL_KINDS, _NULL_PASSES = 3, 3  # of a draw: its covariance, and the two drawings
_DRAWN_AT_ONCE = 8192
_RADIUS_FIGURE = 2.0  # ordinary figures: it has many curves
_NULL_COPIES = 3  # of the rows in memory: they, a draw of a null model, and a draw of that; or transformed rows
_FILED = 6  # numbers of 8 bytes for each neighbour: distance and id, in three formats
_LIST_BYTES = LISTED * (8 + 8) * 3  # of a row's list: distances and ids, while the report is made
_CURVATURE_POINTS = 32  # points whose energies take as long as the curvature at one, which has passes in float64
_BASIN_STARTS, _RETRIEVAL_STEPS = 11, 4  # the last as seen on activations
_DESCENT_NULLS, _DESCENT_VECTORS = 3, 6  # float64 vectors of a point: before, after, its steps and directions


@dataclass(frozen=True)
class SetShape:
    """Vectors of one set."""

    n: int
    d_model: int


def extraction_work(
    spec: ExtractionSpec, sample: SampleShape, model: ModelShape, settings: Settings, per_shard: int | None = None
) -> list[Work]:
    """Sample → shards → published sets; `per_shard` chunks are in a shard, by default those of a CPU."""
    forward = sample.chunks * chunk_flops(spec, model)
    forward += model.output_flops(sample.chunks * (spec.chunk_tokens - 1)) if spec.loss else 0.0
    logits = _LOGITS_BYTES if spec.loss else 0
    number = 2 if spec.dtype == "float16" else 4  # bfloat16 is stored as float32
    vectors = sample.rows * model.d_model * number * len(spec.named_sites)
    chunk = 4 * spec.chunk_tokens + 4 * spec.chunk_tokens + _CHUNK_BYTES
    per_shard = per_shard or chunks_of_shard(spec, settings, model, gpu=False, speeds=None)
    shards = ceil(sample.chunks / per_shard)
    weights = (model.parameters + spec.loss * model.head) * (2 if spec.dtype != "float32" else 4)
    numbers = _FORWARD_VECTORS * model.d_model + _SCORES * model.scored_heads * chunk_context(spec)
    batch = (settings.batch_tokens or GPU_BATCH_TOKENS) * numbers * number
    shard = ceil(vectors / max(1, shards))
    return [
        Work(
            "sample",
            {"tokenising": sample.text_bytes, "storing": sample.chunks * chunk},
            written_bytes=sample.chunks * chunk,
            memory_bytes=PROCESS_BYTES + sample.chunks * chunk + tokenising_bytes(sample.longest_bytes),
        ),
        Work(
            "extract",
            {"forward": forward, "storing": vectors},
            width=model.d_model,
            segments=shards,
            spread=True,
            written_bytes=vectors,
            memory_bytes=PROCESS_BYTES + weights + batch + logits + 2 * shard,
        ),
        Work("publish", {"storing": vectors}, memory_bytes=PROCESS_BYTES + weights + 2 * shard),
    ]


def tokenising_bytes(longest_bytes: float) -> int:
    """Memory for tokenising documents, the longest of so many bytes."""
    return _TOKENISING_BYTES + ceil(_DOCUMENT_COPIES * longest_bytes)


def radius_work(queries: SetShape, database: SetShape, options: RadiusOptions, settings: Settings) -> list[Work]:
    """One search, in one segment or in parts; n²/2 pairs where query rows and database are the same."""
    d, same = queries.d_model, queries == database
    rows = database.n * options.fractions[-1]
    products = (rows**2 / 2 if same else rows * queries.n) * d
    draws = drawn_numbers(rows, d, settings.null_queries) if same else 0.0
    counting = products if options.radii is not None else 0.0
    searching = products * (_LONG_LISTS if options.statistics else 1.0)
    passes = 1 if options.radii is None else 2
    encoding = float(passes * (rows if same else rows + queries.n) * d)
    statistics = _statistics(rows, d, options, settings) if same else {}
    k = LISTED if options.statistics else options.k
    memory = search_bytes(queries, database, settings, k) + (_LIST_BYTES * queries.n if options.statistics else 0)
    copies = _NULL_COPIES if options.statistics or options.transforms else (options.split is not None) / 2
    reporting = memory + ceil(copies * _STORED_BYTES * (rows if same else rows + queries.n) * d)
    report = {"storing": 32.0 * queries.n * len(options.fractions), "reports": _RADIUS_FIGURE}
    written = _REPORT_BYTES + 8 * queries.n * (len(options.fractions) + _FILED * options.k)
    if options.engine not in ("auto", "exact") or products < settings.search_split_work:
        amounts = {"encoding": encoding, "searching": searching, "counting": counting, "drawing": draws, **report}
        return [Work("radius", _added(amounts, statistics), written_bytes=written, memory_bytes=reporting)]
    settling = {"storing": report["storing"]}
    parts = {"search": {"searching": searching}, "count": {"counting": counting}, "settle": settling}
    splitting = {"encoding": encoding, "storing": rows * d * _ENCODED_BYTES}
    stages = [Work("split", splitting, memory_bytes=memory)]
    stages += [Work("null", {"drawing": draws}, memory_bytes=memory)] if same else []
    stages += [
        Work(stage, amounts, segment_s=settings.search_segment_s, spread=True, memory_bytes=memory)
        for stage, amounts in parts.items()
        if any(amounts.values())
    ]
    return [*stages, Work("radius", _added(report, statistics), written_bytes=written, memory_bytes=reporting)]


def drawn_numbers(rows: float, d: int, queries: int) -> float:
    """Multiplications of a Gaussian null model: its covariance, and draws compared with the first, made in tiles."""
    return rows * d * d + (rows + _DRAWN_AT_ONCE) * d * queries


def _statistics(rows: float, d: int, options: RadiusOptions, settings: Settings) -> dict[str, float]:
    """Amounts of the statistics after the search, and of transformed rows.

    A split searches a quarter of all pairs, each once. Each draw of a null model is made, fitted and drawn again, and
    some of its rows are searched; then the dimension of one draw is measured.
    """
    whole = rows**2 / 2 * d
    searches = len(options.transforms) + (options.split is not None)
    amounts = {"searching": len(options.transforms) * whole + (options.split is not None) * whole / 2}
    if not options.statistics:
        return amounts | {"encoding": searches * rows * d}
    draws = _NULL_KINDS * settings.null_draws
    amounts["searching"] += _LONG_LISTS * whole + 2 * draws * rows * min(rows, settings.null_queries) * d
    amounts["encoding"] = (searches + 1 + draws) * rows * d
    return amounts | {"drawing": draws * rows * d * _NULL_PASSES * min(rows, d)}


def _added(amounts: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    return amounts | {name: amounts.get(name, 0.0) + amount for name, amount in more.items()}


def search_bytes(queries: SetShape, database: SetShape, settings: Settings, k: int = 1) -> int:
    """Peak memory of an exact search: encoded rows up to a setting, numbers per row and neighbour; rows are mapped."""
    rows = database.n if queries == database else database.n + queries.n
    encoded = min(settings.search_memory_bytes, _ENCODED_BYTES * rows * database.d_model)
    return PROCESS_BYTES + encoded + 8 * _ROW_NUMBERS * rows + _PAIR_BYTES * k * queries.n


def energy_work(
    layers: list[SetShape], points: int, options: EnergyOptions, settings: Settings, *, within: bool = True
) -> Work:
    """Every point among the patterns of every layer; the inverse temperatures share one pass.

    Then each pattern's nearest other, curvatures (both energies, at points and half-way to their nearest pattern) and
    basins (starting points in two directions, and the patterns themselves). Of several layers the descent comes last,
    unless the queries are of another set (`within` is false).
    """
    points = min(points, options.sample or points)
    curvature = settings.energy_curvature_rows * 4 * len(options.beta) * _CURVATURE_POINTS
    basins = settings.energy_basin_rows * _BASIN_STARTS * _RETRIEVAL_STEPS * 2  # a step is two products
    asked = points + curvature + basins
    descending = _descent(layers, options) * within
    products = sum(asked * layer.n * layer.d_model for layer in layers)
    products += descending * (layers[0].n // 2) * layers[0].d_model
    searched = sum(layer.n**2 / 2 * layer.d_model for layer in layers)
    held = max(layer.n * (_STORED_BYTES * layer.d_model + 8 * _ROW_NUMBERS) for layer in layers)
    if within and len(layers) > 1:
        held += 8 * _DESCENT_VECTORS * _descending(layers[0], options) * layers[0].d_model
    written = _REPORT_BYTES + 8 * points * len(layers) * 4 * len(options.beta)
    amounts = {"points": float(points * len(layers) + descending), "energies": float(products), "searching": searched}
    amounts |= {"encoding": float(sum(layer.n * layer.d_model for layer in layers))}
    amounts |= {"storing": float(written), "reports": 1.0}
    return Work("energy", amounts, written_bytes=written, memory_bytes=PROCESS_BYTES + held)


def _descent(layers: list[SetShape], options: EnergyOptions) -> int:
    """Points that the descent evaluates: for each of b blocks, half of the rows at b + 1 layers and after three nulls.

    They are evaluated among the other half after the block.
    """
    blocks = len(layers) - 1
    return blocks * (blocks + 1 + _DESCENT_NULLS) * _descending(layers[0], options)


def _descending(layer: SetShape, options: EnergyOptions) -> int:
    """Points of the descent."""
    points = layer.n - layer.n // 2
    return min(points, options.sample or points)


def training_work(
    spec: TrainingSpec, model: ModelShape, settings: Settings, *, stage: str = "train", repeats: int = 1
) -> list[Work]:
    """Steps, evaluations and kept models of equal runs; then the radius of each kept model, where the spec has it."""
    tokens, context = run_tokens(spec)
    evaluations = ceil(spec.steps / spec.eval_every)
    evaluated, measured_last = _evaluated(spec)
    kept = 1 if spec.kept_every is None else ceil(spec.steps / spec.kept_every)
    if spec.keep is not None:
        kept = min(kept, spec.keep.last + spec.keep.best + 1)  # a newer one is published before another is removed
    flops = spec.steps * model.training_flops(tokens, context)
    flops += evaluations * model.training_flops(evaluated, context) / 3
    state = 12 * model.parameters
    written = state + 4 * model.parameters * kept
    micro = tokens * min(1.0, (spec.micro_batch or spec.batch) / spec.batch)
    activations = 4 * micro * model.d_model * _TRAINING_VECTORS * len(model.layers)
    memory = PROCESS_BYTES + 16 * model.parameters + int(activations)
    train = Work(
        stage,
        {"training": flops, "storing": float(evaluations * state), "reports": 1.0},
        width=model.d_model,
        repeats=repeats,
        segment_s=settings.training_segment_s,
        written_bytes=repeats * written,
        memory_bytes=memory,
    )
    last = {"training": model.training_flops(measured_last, context) / 3}
    finish = Work("finish", last, width=model.d_model, repeats=repeats, memory_bytes=memory)
    if spec.radius is None:
        return [train, finish]
    wanted = spec.radius
    length = wanted.tokens if isinstance(spec, OpenELMSpec) else context
    sample = SetShape(wanted.rows, model.d_model)
    searched = wanted.rows * model.d_model * len(wanted.sites)
    read = Work(
        "trajectory",
        {
            "forward": model.forward_flops(wanted.rows * length, length),
            "encoding": float(searched),
            "searching": wanted.rows / 2 * searched,
        },
        width=model.d_model,
        repeats=repeats,
        segments=kept,
        memory_bytes=search_bytes(sample, sample, settings) + 4 * model.parameters,
    )
    return [train, finish, read]


def _evaluated(spec: TrainingSpec) -> tuple[float, float]:
    """Tokens that one evaluation reads, and those that the last measures read."""
    if isinstance(spec, OpenELMSpec):
        return float(2 * spec.data.validation_windows * spec.model.n_ctx), 0.0
    lines = lines_of(spec.data)
    evaluated = 3 * lines["val"] + spec.generalisation_lines
    return LINE_TOKENS * evaluated, LINE_TOKENS * (2 * lines["test"] + lines["generalisation"])
