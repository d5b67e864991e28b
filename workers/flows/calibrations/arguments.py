"""Arguments and result of the segment of a calibration."""

from __future__ import annotations

from workers.flows.engine.segments import Nothing, SegmentKind, SegmentModel


class Calibrated(SegmentModel):
    """The fingerprint of the device that was measured."""

    fingerprint: str


CALIBRATE = SegmentKind("calibrate", Nothing, Calibrated)
