"""One tree of errors; each has a stable code and the HTTP status the REST layer answers with.

    RadiusError
    ├── InvalidInput            422
    │   ├── NonFiniteData       422
    │   ├── UnsupportedModel    422
    │   ├── DoesNotFit          422
    │   └── NotAvailable        422
    ├── NotFound                404
    ├── Unauthorized            401
    ├── TooLarge                413
    ├── Forbidden               403
    ├── WrongMedia              415
    ├── TooMany                 429
    ├── Conflict                409
    │   ├── Cancelled           409
    │   ├── ModelNotHere        409
    │   └── Superseded          409
    ├── CorruptArtifact         500
    ├── UnsupportedSpec         500
    ├── StorageFull             507
    │   └── QuotaFull           507
    ├── OutOfMemory             500
    ├── PoisonSegment           500
    ├── StartFailed             500
    └── Unavailable             503

Messages are for people; they may name a field, a limit or a count, and never repeat what a client sent, but the host
name that a request was refused for.
"""

from __future__ import annotations

FieldErrors = list[dict[str, str]]


class RadiusError(Exception):
    """Base of all errors of the product. `detail` is one sentence; `field` the offending field, where there is one."""

    code = "internal"
    status = 500

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field

    def as_dict(self) -> dict[str, str]:
        """`{"code", "detail"[, "field"]}`, the form stored with a failed job."""
        body = {"code": self.code, "detail": self.detail}
        return body | {"field": self.field} if self.field else body


class InvalidInput(RadiusError, ValueError):
    """The request or the data is wrong; `errors` has an entry for each wrong field."""

    code = "invalid_input"
    status = 422

    def __init__(self, detail: str, *, field: str | None = None, errors: FieldErrors | None = None) -> None:
        super().__init__(detail, field=field)
        self.errors = errors or ([{"field": field, "message": detail}] if field else [])


class NonFiniteData(InvalidInput):
    """A NaN or an infinity in the data."""

    code = "non_finite_data"


class UnsupportedModel(InvalidInput):
    """The model's family is not supported, or its weights are not in safetensors files."""

    code = "unsupported_model"


class DoesNotFit(InvalidInput):
    """The job needs more disk or memory than there is; the message has the numbers."""

    code = "does_not_fit"


class NotAvailable(InvalidInput):
    """A valid request that this version cannot serve yet."""

    code = "not_available"


class NotFound(RadiusError, LookupError):
    """Nothing has that id."""

    code = "not_found"
    status = 404


class Unauthorized(RadiusError):
    """The request has no API key, or one that is not valid."""

    code = "unauthorized"
    status = 401


class TooLarge(RadiusError):
    """The request exceeds a limit of /v1/limits."""

    code = "too_large"
    status = 413


class Forbidden(RadiusError):
    """The key's scope does not include this operation."""

    code = "forbidden"
    status = 403


class WrongMedia(RadiusError):
    """The body has another media type, charset or encoding than the route reads."""

    code = "unsupported_media_type"
    status = 415


class TooMany(RadiusError):
    """The limit on concurrent work is reached; try again after `retry_after_s`."""

    code = "too_many_requests"
    status = 429
    retry_after_s: float | None = 2.0


class Conflict(RadiusError):
    """The object's state does not allow this request."""

    code = "conflict"
    status = 409


class Cancelled(Conflict):
    """The job was cancelled or deleted while a worker executed it."""

    code = "cancelled"


class ModelNotHere(Conflict):
    """The request needs the `config.json` of a model that is not under the models root."""

    code = "model_not_here"


class Superseded(Conflict):
    """Another worker owns the segment now, since this one had no heartbeat for too long."""

    code = "superseded"


class PoisonSegment(RadiusError):
    """Several workers died at one segment without progress in between."""

    code = "poison"
    status = 500


class CorruptArtifact(RadiusError):
    """A stored file does not have its recorded SHA-256."""

    code = "corrupt_artifact"
    status = 500


class UnsupportedSpec(RadiusError):
    """The stored spec of a job has a field or a value of another version; `field` names the first."""

    code = "unsupported_spec"
    status = 500


class StorageFull(RadiusError):
    """No space left on the data directory's device."""

    code = "storage_full"
    status = 507


class QuotaFull(StorageFull):
    """The files of the project reach its limit; deleting some of its jobs makes room."""

    code = "quota_full"


class OutOfMemory(RadiusError, MemoryError):
    """The device's memory is too small for a single row."""

    code = "device_memory"
    status = 500


class StartFailed(RadiusError):
    """A process of the service ended at its start; the message has the end of its log."""

    code = "start_failed"


class Unavailable(RadiusError):
    """A part of the service cannot be reached; try again, after `retry_after_s` where the answer had it."""

    code = "unavailable"
    status = 503
    retry_after_s: float | None = None


def error_from_dict(body: dict[str, str]) -> RadiusError:
    """The error that `as_dict` described; an unknown code becomes the base class with that code."""
    for kind in _all_kinds(RadiusError):
        if kind.code == body.get("code"):
            return kind(body.get("detail", ""), field=body.get("field"))
    error = RadiusError(body.get("detail", ""), field=body.get("field"))
    error.code = body.get("code", "internal")
    return error


def _all_kinds(kind: type[RadiusError]) -> list[type[RadiusError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _all_kinds(child))]
