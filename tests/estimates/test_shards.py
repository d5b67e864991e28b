"""Chunks of a shard: tokens on a CPU, time on a GPU, whole batches, no more vectors than a worker holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.contracts.estimates import Calibration, Rate
from service.contracts.extraction import ExtractionSpec
from service.estimates.shapes import gpt2_shape
from service.estimates.shards import chunk_bytes, chunk_flops, chunks_of_shard
from service.settings import Settings
from service.theory.transformer_size import GPT2

MEDIUM = gpt2_shape(GPT2["gpt2-medium"])
SPEC = ExtractionSpec(
    model="gpt2-medium", corpus="c", chunk_tokens=256, chunks=80_000, sites=["blocks.-1.hook_resid_post"]
)


def speeds(flops: float) -> Calibration:
    rate = [Rate(d_model=1024, per_s=flops)]
    given: dict[str, Any] = dict.fromkeys(Calibration.model_fields, 1.0)
    return Calibration(**given | {"forward": rate, "training": rate, "measured_at": datetime.now(UTC)})


def shard(spec: ExtractionSpec = SPEC, *, gpu: bool = True, flops: float | None = 5e13) -> int:
    measured = None if flops is None else speeds(flops)
    return chunks_of_shard(spec, Settings(), MEDIUM, gpu=gpu, speeds=measured)


def test_a_cpu_has_its_tokens():
    assert shard(gpu=False) == 65_536 // 256


def test_a_gpu_has_five_seconds_in_whole_batches():
    flops = 256 * 2 * 12 * 1024**2 * 24 + 256 * 2 * 256 * 1024 * 24  # products with weights, causal scores and sums
    assert chunk_flops(SPEC, MEDIUM) == pytest.approx(flops, rel=0.01)
    wanted = 5 * 5e13 / chunk_flops(SPEC, MEDIUM)
    assert wanted - 64 < shard() <= wanted
    assert shard() % 64 == 0  # 16,384 tokens


@pytest.mark.parametrize(("flops", "chunks"), [(None, 4096), (1e6, 256)])
def test_an_unmeasured_gpu_has_sixteen_times_the_tokens_and_a_slow_one_those_of_a_cpu(flops: float | None, chunks: int):
    assert shard(flops=flops) == chunks


def test_vectors_of_all_positions_fit_into_memory():
    spec = SPEC.model_copy(update={"position": "all"})
    assert chunk_bytes(spec, 1024) == 256 * 1024 * 4
    assert shard(spec, flops=1e15) * chunk_bytes(spec, 1024) == 2**28


def test_chunks_longer_than_a_batch_come_one_by_one():
    spec = SPEC.model_copy(update={"chunk_tokens": 20_000})
    assert shard(spec, flops=1e6) == 3
