"""Table from serving errors to HTTP's statuses, as in TensorFlow Serving."""

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
EXPECTATION_FAILED = 417


class BodyTooLarge(ResourceExhausted):
    """The body of a request exceeds the limit."""


class UnknownCoding(InvalidRequest):
    """The body is compressed in a way that is not supported."""


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
INTERNAL_MESSAGE = "the server failed to answer; its log says why"


def status_of(error: ServingError) -> int:
    """The status of an error, or of the nearest error it descends from."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)


def message_text(error: ServingError) -> str:
    """The message for the caller, without internals."""
    hidden = status_of(error) == INTERNAL and not isinstance(error, NotInRepository)
    return INTERNAL_MESSAGE if hidden else shorten(str(error))


def headers(error: ServingError) -> dict[str, str]:
    """`Retry-After` in whole seconds where a retry may succeed; `Accept-Encoding` where another compression may."""
    if isinstance(error, UnknownCoding):
        return {"Accept-Encoding": "gzip, deflate"}
    if not isinstance(error, Unavailable):
        return {}
    return {"Retry-After": str(max(1, -(-(error.retry_after_ms or 0) // 1000)))}
