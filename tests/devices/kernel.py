"""The kernel of strips on a pretend GPU: torch computes what Triton would, counted as one launch without a wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from tests.devices.pretend import PretendGpu
from workers.neighbors import appending
from workers.neighbors.appending import Rectangle, Strip
from workers.neighbors.pool import Pool


@contextmanager
def kernel_on(gpu: PretendGpu) -> Iterator[None]:
    """Let `append_fused` run on the pretend GPU within the block."""

    def append(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
        with gpu.as_one_launch("append"):
            appending.append_plain(strip, rectangle, pool)

    with patch.object(appending, "append_fused", append):
        yield
