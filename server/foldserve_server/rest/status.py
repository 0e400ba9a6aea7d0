"""The one table from the core's errors to HTTP's statuses, as TensorFlow Serving has it."""

from ..errors import (
    DeadlineExceeded,
    EngineFailed,
    Forbidden,
    InvalidRequest,
    NotInRepository,
    NotOffered,
    NotPossible,
    ResourceExhausted,
    ServableNotFound,
    ServingError,
    SignatureNotFound,
    Unauthenticated,
    Unavailable,
    shorten,
)

INTERNAL = 500


class BodyTooLarge(ResourceExhausted):
    """The body of a request is larger than any may be."""


class UnknownCoding(InvalidRequest):
    """The body is packed in a way that is not understood."""


STATUS: dict[type[ServingError], int] = {
    InvalidRequest: 400,
    UnknownCoding: 415,
    SignatureNotFound: 400,
    NotPossible: 400,
    NotOffered: 501,
    ServableNotFound: 404,
    Unavailable: 503,
    ResourceExhausted: 429,
    BodyTooLarge: 413,
    DeadlineExceeded: 504,
    EngineFailed: INTERNAL,
    NotInRepository: INTERNAL,  # as Triton has it
    Unauthenticated: 401,
    Forbidden: 403,
}
UNTOLD = "the server failed to answer; its log says why"


def status_of(error: ServingError) -> int:
    """The status of an error, or of the nearest error it descends from."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)


def words(error: ServingError) -> str:
    """What a caller is told: no internals."""
    hidden = status_of(error) == INTERNAL and not isinstance(error, NotInRepository)
    return UNTOLD if hidden else shorten(str(error))


def headers(error: ServingError) -> dict[str, str]:
    """`Retry-After` in whole seconds, where another try may succeed; `Accept-Encoding` where another packing may."""
    if isinstance(error, UnknownCoding):
        return {"Accept-Encoding": "gzip, deflate"}
    if not isinstance(error, Unavailable):
        return {}
    return {"Retry-After": str(max(1, -(-(error.retry_after_ms or 0) // 1000)))}
