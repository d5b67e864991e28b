"""Rows of the measured speeds of each kind of device."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.rows import get_row, insert_once
from service.catalog.tables import calibrations
from service.contracts.estimates import Calibration


def get(connection: sa.Connection, fingerprint: str) -> Calibration | None:
    """The speeds of devices with that fingerprint; None if none was measured."""
    row = get_row(connection, calibrations, fingerprint)
    return None if row is None else Calibration(**row["speeds"])


def record(connection: sa.Connection, fingerprint: str, measured: Calibration) -> None:
    """Keep the first measurement of a kind of device."""
    insert_once(connection, calibrations, {"id": fingerprint, "speeds": measured.model_dump(mode="json")})
