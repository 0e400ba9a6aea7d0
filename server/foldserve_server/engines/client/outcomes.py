"""Errors with which requests to an engine end."""

from foldserve_engine.link.packets import Outcome

from ...errors import DeadlineExceeded, EngineFailed, InvalidRequest, ServingError, Unavailable

_EXPIRED = "the deadline passed before the request was computed"


def expired() -> DeadlineExceeded:
    """The deadline passed while the request waited."""
    return DeadlineExceeded(_EXPIRED)


def error_of(outcome: Outcome) -> ServingError:
    """The error for an outcome other than DONE."""
    if outcome is Outcome.EXPIRED:
        return expired()
    return EngineFailed("the engine could not compute the request; the server's log says why")


def submit_error(error: Exception) -> ServingError:
    """The error for inputs that could not be copied into shared memory."""
    if isinstance(error, OSError):
        return Unavailable(f"there is no memory for the request: {error}")
    return InvalidRequest(f"the inputs do not have the dtypes and shapes of the signature: {error}")


def copy_of(error: ServingError) -> ServingError:
    """An equal error as a new object, since each caller's gets a traceback of its own."""
    if isinstance(error, Unavailable):
        return type(error)(str(error), error.retry_after_ms)
    return type(error)(str(error))
