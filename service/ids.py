"""Ids made by the server: a prefix and 26 hexadecimal digits that sort by time of creation."""

from __future__ import annotations

import secrets
import time


def new_id(prefix: str) -> str:
    """`prefix-` + 14 digits of microseconds since 1970 + 12 random digits; later ids sort after earlier ones."""
    return f"{prefix}-{time.time_ns() // 1000:014x}{secrets.token_hex(6)}"


def derived_id(prefix: str, parent: str, position: int = 0) -> str:
    """The id of a job's own product: a pure function of the job, so that a replayed step makes the same one."""
    return f"{prefix}-{parent.split('-', 1)[-1]}{position:02x}"
