"""The former name of `prepared_values`."""

from workers.flows.engine.prepared_values import PreparedValue as Retained

__all__ = ["Retained"]
