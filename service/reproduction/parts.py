"""The former name of `required_jobs`."""

from service.reproduction.required_jobs import PartJob

__all__ = ["PartJob"]
