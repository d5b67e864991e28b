"""Rows of the host for a search on a GPU: copied there once, or, where they do not fit, whenever they are taken."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from workers.devices.memory import free_bytes
from workers.neighbors.stored import StoredRows

_BUFFER_BYTES = 2**26
_SHARE = 0.5  # of the free memory: the encoded rows and the tiles need the rest
_copies: WeakKeyDictionary[StoredRows, DeviceRows] = WeakKeyDictionary()


class DeviceRows(StoredRows):
    """(n, d) rows in the memory of a GPU; ids and taken rows are there too."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def d(self) -> int:
        return self._rows.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self._rows.dtype

    @property
    def device(self) -> torch.device:
        return self._rows.device

    def take(self, ids: Tensor) -> Tensor:
        return self._rows.index_select(0, ids)


class StreamedRows(StoredRows):
    """Rows that stay in the host's memory; ids and taken rows are on the GPU."""

    def __init__(self, stored: StoredRows, device: torch.device) -> None:
        self._stored, self._device = stored, device

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def d(self) -> int:
        return self._stored.d

    @property
    def dtype(self) -> torch.dtype:
        return self._stored.dtype

    @property
    def device(self) -> torch.device:
        return self._device

    def take(self, ids: Tensor) -> Tensor:
        return self._stored.take(ids.cpu()).to(self._device)


def rows_on(stored: StoredRows, device: torch.device) -> StoredRows:
    """The rows where a device reads them; a copy on a GPU is made once and is kept as long as its rows."""
    if device.type == "cpu" or stored.device == device:
        return stored
    found = _copies.get(stored)
    if found is None or found.device != device:
        if len(stored) * stored.d * stored.dtype.itemsize > _SHARE * free_bytes(device):
            return StreamedRows(stored, device)
        found = _copies[stored] = DeviceRows(_upload(stored, device))
    return found


def _upload(stored: StoredRows, device: torch.device) -> Tensor:
    """Copy the rows through two pinned buffers: one is filled while the other is copied."""
    rows = torch.empty((len(stored), stored.d), dtype=stored.dtype, device=device)
    step = max(1, _BUFFER_BYTES // (stored.d * stored.dtype.itemsize))
    buffers = [torch.empty((min(step, len(stored)), stored.d), dtype=stored.dtype).pin_memory() for _ in range(2)]
    copied = [torch.cuda.Event(), torch.cuda.Event()]
    for at, start in enumerate(range(0, len(stored), step)):
        buffer, done = buffers[at % 2], copied[at % 2]
        ids = torch.arange(start, min(start + step, len(stored)))
        if at > 1:
            done.synchronize()
        buffer[: len(ids)].copy_(stored.take(ids))
        rows[start : start + len(ids)].copy_(buffer[: len(ids)], non_blocking=True)
        done.record()
    for done in copied[: -(-len(stored) // step)]:
        done.synchronize()  # before the buffers are freed
    return rows
