"""The connection of a client to a service: its URL, proxies, and how long it tries again while the service is away."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from tenacity import RetryCallState, retry_if_exception_type, stop_before_delay

from service.addresses import is_loopback
from service.errors import InvalidInput, TooMany, Unavailable

logger = logging.getLogger("radius.client")
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading them for plain HTTP would take 50 ms
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0


def connection_options(url: str) -> dict[str, Any]:
    """Options of an HTTP client for the service at `url`; the proxies of the environment are not for loopback.

    Raises:
        InvalidInput: not an http:// or https:// URL.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        detail = "the URL of the service (--url, or RADIUS_URL) must be http://HOST:PORT or https://HOST:PORT"
        raise InvalidInput(f"{detail}, such as http://127.0.0.1:8000", field="url")
    verify = True if parsed.scheme == "https" else _NO_CERTIFICATES
    return {"base_url": url, "trust_env": not is_loopback(parsed.host), "verify": verify}


@contextmanager
def proxy_errors() -> Iterator[None]:
    """Refuse a proxy of the environment that a client cannot be made with, such as a SOCKS one without its package."""
    try:
        yield
    except (ImportError, ValueError) as error:
        detail = f"a proxy of the environment cannot be used: {error}"
        raise InvalidInput(f"{detail} Change ALL_PROXY, HTTP_PROXY or HTTPS_PROXY, or set NO_PROXY.") from error


def away_from(url: str) -> Unavailable:
    """The error of a service that does not answer at `url`."""
    shown = httpx2.URL(url).copy_with(userinfo=b"")
    what = "start one with `radius up` (or `make up`), or name another by --url or RADIUS_URL"
    return Unavailable(f"no service answers at {shown}: {what}")


def retrying(limit_s: float) -> dict[str, Any]:
    """Options of tenacity: try again after `Unavailable` and `TooMany`, for `limit_s`, then raise the last error.

    The pauses double from 0.25 to 5 s, and are at least the `Retry-After` of the answer.
    """
    return {
        "retry": retry_if_exception_type((Unavailable, TooMany)),
        "stop": stop_before_delay(limit_s),
        "wait": _pause_s,
        "before_sleep": lambda state: _announce(state, limit_s),
        "reraise": True,
    }


def _pause_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = getattr(error, "retry_after_s", None) or 0.0
    return max(asked_s, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (state.attempt_number - 1)))


def _announce(state: RetryCallState, limit_s: float) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        logger.warning("%s; trying again for %g s", state.outcome.exception(), limit_s)
