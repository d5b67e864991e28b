"""The metrics of a run as event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from service.contracts.training import MetricsRow
from service.errors import NotAvailable

_LOGGED = ("train_loss", "val_loss", "lr", "grad_norm", "tokens")


def write_tensorboard(rows: Iterable[MetricsRow], folder: Path) -> None:
    """Write every number of every logged step as a scalar.

    Raises:
        NotAvailable: TensorBoard is not installed.
    """
    try:
        from tensorboard.summary import Writer
    except ImportError as error:
        raise NotAvailable(
            "TensorBoard is not installed; in the repository: pip install -c constraints.txt '.[tensorboard]'"
        ) from error
    writer = Writer(str(folder))
    for row in rows:
        for name, value in ({name: getattr(row, name) for name in _LOGGED} | row.details).items():
            if value is not None:
                writer.add_scalar(name, value, step=row.step)
    writer.close()
