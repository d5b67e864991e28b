"""Chunks of a shard: a number of tokens on a CPU, some seconds of forward passes on a GPU."""

from __future__ import annotations

from service.contracts.estimates import Calibration
from service.contracts.extraction import ExtractionSpec
from service.estimates.pricing import speed_at
from service.estimates.shapes import ModelShape, depth_of
from service.settings import MIB, Settings

GPU_BATCH_TOKENS = 16_384  # of a forward pass
_SHARD_S = 5.0
_UNMEASURED = 16  # times the tokens of a CPU's shard, while the GPU's speed is not known
_MOST_BYTES = 256 * MIB  # of a shard's vectors, which a worker holds in memory


def chunk_context(spec: ExtractionSpec) -> int:
    """Tokens of a chunk that the model reads."""
    whole = spec.loss or not isinstance(spec.position, int)
    return (spec.chunk_tokens if whole else int(spec.position) + 1) + (spec.bos == "model")


def chunk_flops(spec: ExtractionSpec, model: ModelShape) -> float:
    """FLOP of the forward pass of one chunk."""
    context = chunk_context(spec)
    depth = len(model.layers) if spec.loss else depth_of(spec.named_sites, len(model.layers))
    return model.forward_flops(context, context, depth)


def chunk_bytes(spec: ExtractionSpec, d_model: int) -> int:
    """Bytes of the vectors of one chunk at all sites."""
    number = 2 if spec.dtype == "float16" else 4  # bfloat16 is stored as float32
    rows = spec.chunk_tokens if spec.position == "all" else 1
    return rows * d_model * number * len(spec.named_sites)


def chunks_of_shard(
    spec: ExtractionSpec, settings: Settings, model: ModelShape | None, *, gpu: bool, speeds: Calibration | None
) -> int:
    """Chunks of one shard, the unit of resuming; on a GPU whole batches, so that its size changes no bit of a vector.

    Args:
        model: None where its sizes are not known beforehand.
        gpu: whether GPUs compute the shards.
        speeds: of the GPU; None where they were not measured.
    """
    least = max(1, settings.shard_tokens // spec.chunk_tokens)
    if not gpu:
        return least
    wanted = least * _UNMEASURED
    if speeds is not None and model is not None:
        wanted = max(least, int(_SHARD_S * speed_at(speeds, "forward", model.d_model) / chunk_flops(spec, model)))
    if model is not None:
        wanted = min(wanted, max(least, _MOST_BYTES // chunk_bytes(spec, model.d_model)))
    batch = max(1, (settings.batch_tokens or GPU_BATCH_TOKENS) // spec.chunk_tokens)
    return max(batch, wanted // batch * batch)
