"""Starting processes of ours, and what each does first."""

from __future__ import annotations

import os
import sys

# Exit codes of a worker that is to be started again, beside the signals that killed it: another worker took its name,
# its segment hung, its device was lost, or something that it needs is not available yet.
REPLACED, STUCK, DEVICE_LOST, NOT_YET = 70, 71, 72, 75
_STANDARD = 3


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours; -P: whatever the current folder holds is not imported in its place."""
    return [sys.executable, "-P", "-m", module, *arguments]


def open_standard_streams() -> None:
    """Open /dev/null for each standard stream that was closed, so that no other file gets its number.

    What is written to the stream would end in that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
