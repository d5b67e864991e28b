"""Files that commands read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.errors import InvalidInput


def read_array(path: Path, field: str) -> np.ndarray:
    """The numbers in a .npy file, as float64.

    Raises:
        InvalidInput: it is not one.
    """
    try:
        return np.load(path, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInput(f"--{field} must be a .npy file of numbers", field=field) from error
