"""Hosts of one kernel: network namespaces, each with a cable to the bridge of the database's."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

End = Literal["host", "bridge"]
DATABASE = "database"
_NETWORK = "10.77.0"  # of the namespaces alone: nothing outside them has a route to it


@dataclass
class Network:
    """A bridge in the namespace of the database, and hosts that reach each other through it.

    The namespaces are named after this process, so that those of two test runs are not the same.
    """

    hosts: tuple[str, ...]
    _made: list[str] = field(default_factory=list)

    def namespace(self, host: str) -> str:
        return f"radius-{os.getpid()}-{host}"

    def address(self, host: str) -> str:
        return f"{_NETWORK}.{1 + (DATABASE, *self.hosts).index(host)}"

    def make(self) -> None:
        for host in (DATABASE, *self.hosts):
            _ip("netns", "add", self.namespace(host))
            self._made.append(self.namespace(host))
            self._in(host, "link", "set", "lo", "up")
        self._in(DATABASE, "link", "add", "bridge0", "type", "bridge")
        self._raise(DATABASE, "bridge0")
        for host in self.hosts:
            cable = ("link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0")
            self._in(DATABASE, *cable, "netns", self.namespace(host))
            self._in(DATABASE, "link", "set", f"to-{host}", "master", "bridge0", "up")
            self._raise(host, "eth0")

    def remove(self) -> None:
        """Remove what was made; interfaces go with their namespace, and that with its last process."""
        while self._made:
            _ip("netns", "delete", self._made.pop())

    @contextmanager
    def severed(self, host: str, end: End) -> Iterator[None]:
        """The interface at one end of a host's cable is down within the block."""
        where, interface = (host, "eth0") if end == "host" else (DATABASE, f"to-{host}")
        self._in(where, "link", "set", interface, "down")
        try:
            yield
        finally:
            self._in(where, "link", "set", interface, "up")

    def command(self, host: str, command: list[str]) -> list[str]:
        """The command that runs another on a host, as the same process."""
        return ["ip", "netns", "exec", self.namespace(host), *command]

    @contextmanager
    def entered(self, host: str) -> Iterator[None]:
        """Processes that this thread starts within the block are on that host."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _set_namespace(Path("/run/netns") / self.namespace(host))
            yield
        finally:
            _set_namespace(Path(f"/proc/self/fd/{own}"))
            os.close(own)

    def _raise(self, host: str, interface: str) -> None:
        self._in(host, "address", "add", f"{self.address(host)}/24", "dev", interface)
        self._in(host, "link", "set", interface, "up")

    def _in(self, host: str, *arguments: str) -> None:
        _ip("-n", self.namespace(host), *arguments)


def missing() -> list[str]:
    """What namespaces need and this machine or user lacks."""
    if sys.platform != "linux":
        return ["Linux"]
    needs = {"root": os.geteuid() == 0, "ip (iproute2)": shutil.which("ip") is not None}
    lacking = [name for name, there in needs.items() if not there]
    return lacking if lacking or _can_be_made() else ["the right to make network namespaces"]


def _can_be_made() -> bool:
    network = Network(("probe",))
    try:
        network.make()
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            network.remove()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _set_namespace(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"the network namespace {path} cannot be entered")
    finally:
        os.close(descriptor)
