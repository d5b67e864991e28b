"""The models that a service has."""

from __future__ import annotations

from service.contracts.base import Contract


class Model(Contract):
    """A model folder under the models root; `reason` says why one is not supported."""

    id: str
    family: str | None
    supported: bool
    reason: str | None
    sizes: dict[str, int]
