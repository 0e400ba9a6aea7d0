"""Table from serving errors to gRPC's statuses, and the only place that ends a call with an error."""

from typing import Any, NoReturn

from grpc import StatusCode

from ..errors import (
    DeadlineExceeded,
    EngineFailed,
    Forbidden,
    InvalidRequest,
    NotInRepository,
    NotOffered,
    NotPossible,
    ReloadFailed,
    ResourceExhausted,
    ServableNotFound,
    ServingError,
    SignatureNotFound,
    Unauthenticated,
    Unavailable,
    shorten,
)

STATUS: dict[type[ServingError], StatusCode] = {
    InvalidRequest: StatusCode.INVALID_ARGUMENT,
    SignatureNotFound: StatusCode.FAILED_PRECONDITION,
    NotPossible: StatusCode.FAILED_PRECONDITION,
    NotOffered: StatusCode.UNIMPLEMENTED,
    ServableNotFound: StatusCode.NOT_FOUND,
    Unavailable: StatusCode.UNAVAILABLE,
    ResourceExhausted: StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    EngineFailed: StatusCode.INTERNAL,
    Unauthenticated: StatusCode.UNAUTHENTICATED,
    Forbidden: StatusCode.PERMISSION_DENIED,
    NotInRepository: StatusCode.INTERNAL,  # as Triton has it
    ReloadFailed: StatusCode.UNKNOWN,  # as TensorFlow Serving has it
}
RETRY_AFTER_MS = 100
PUSHBACK = "grpc-retry-pushback-ms"
INTERNAL_MESSAGE = "the server failed to answer; its log says why"


def status_of(error: ServingError) -> StatusCode:
    """The status of an error, or of the nearest error it descends from."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), StatusCode.INTERNAL)


def pushback(error: ServingError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata by which a client knows when to retry."""
    if not isinstance(error, Unavailable):
        return ()
    after = RETRY_AFTER_MS if error.retry_after_ms is None else error.retry_after_ms
    return ((PUSHBACK, str(after)),)


def message_text(error: ServingError) -> str:
    """The message for the caller, without internals."""
    hidden = status_of(error) is StatusCode.INTERNAL and not isinstance(error, NotInRepository)
    return INTERNAL_MESSAGE if hidden else shorten(str(error))


async def abort(context: Any, error: ServingError) -> NoReturn:
    """Ends the call with the error's status and message."""
    await context.abort(status_of(error), message_text(error), pushback(error))
    raise AssertionError("abort always raises")
