"""The classes of Hugging Face's library that compute a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Modules:
    """The classes of a family, by name, as importing the library takes seconds.

    Attributes:
        config: class of the configuration.
        model: class of the stack of blocks, without the output map.
        attention: implementation of attention: `sdpa` is PyTorch's fused one, `eager` holds all scores in memory.
    """

    config: str
    model: str
    attention: Literal["sdpa", "eager"] = "sdpa"
