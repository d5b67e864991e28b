"""Files that commands read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from service.errors import InvalidInput


def read_array(path: Path, option: str) -> np.ndarray:
    """The real numbers in a .npy file, or in a .npz file of one array, as float64.

    Raises:
        InvalidInput: there is no such file, or no such numbers in it; the message has the option and the file.
    """
    try:
        arrays = _arrays(path)
    except FileNotFoundError as error:
        raise InvalidInput(f"--{option}: there is no file {path}", field=option) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"--{option}: {path} is not a .npy or .npz file of numbers", field=option) from error
    if len(arrays) != 1:
        names = ", ".join(arrays) or "none"
        raise InvalidInput(f"--{option}: {path} must hold one array; it holds {names}", field=option)
    (found,) = arrays.values()
    if found.dtype.kind not in "fiu":
        raise InvalidInput(f"--{option}: {path} holds {found.dtype}, not real numbers", field=option)
    return found.astype(np.float64)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name."""
    with path.open("rb") as stream:
        found = np.load(stream, allow_pickle=False)
        return {path.name: found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
