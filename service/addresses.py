"""Host names and IP addresses: one spelling of each, and which of them only this machine reaches."""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_LONGEST_NAME = 253
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def canonical(host: str) -> str:
    """One spelling of a host: an IP address without brackets as RFC 5952 writes it, a name in lower case.

    Raises:
        ValueError: neither an IP address nor a host name.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        name = host.lower().removesuffix(".")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError("neither an IP address nor a host name")
    return name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; False for names other than localhost, which may resolve to anything."""
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """An address at which this machine reaches what is bound to `host`, which may be all addresses of a family."""
    return _ANY.get(host, host)


def url_at(host: str, port: int) -> str:
    """The URL of a canonical host and a port; an IPv6 address stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
