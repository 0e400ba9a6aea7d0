"""Errors of requests, of loading and of the start. Each protocol has one table from these to its own statuses.

```
FoldserveError
└── ServingError
    ├── InvalidRequest        the caller must change the request
    ├── SignatureNotFound     the model has no such signature
    ├── NotPossible           the model or the server is not made for it, as it stands
    ├── NotOffered            this server does not do that at all
    ├── ServableNotFound      no such model, version or label is served
    ├── Unavailable           not now: retry, after `retry_after_ms` where it is given
    │   └── QueueFull         more rows or bytes wait than may
    ├── ResourceExhausted     one request is larger than any may be
    ├── DeadlineExceeded      its deadline passed before it was computed
    ├── EngineFailed          the engine could not compute it; the log says why
    ├── Unauthenticated       the caller's token is missing or unknown
    ├── Forbidden             the caller may not ask for that
    ├── NotInRepository       a model is to be loaded that is not there to be served
    └── ReloadFailed          another set of models was asked for and cannot be served; the one before still is
LoadFailed                    a version was not put into service; the reason in words
CannotStart                   the command line or the machine does not allow a start
FrontEndsFailed               front ends end again and again
```
"""

from collections.abc import Mapping
from typing import ClassVar

from foldserve_contract.errors import FoldserveError

MAX_MESSAGE_BYTES = 1024
_CUT = "...TRUNCATED"


class ServingError(FoldserveError):
    """A request that is not answered with a prediction.

    Attributes:
        status: gRPC's name of the status that callers see, for metrics.
    """

    status: ClassVar[str] = "INTERNAL"


class InvalidRequest(ServingError):
    """The request is wrong; the same request will fail again."""

    status = "INVALID_ARGUMENT"


class SignatureNotFound(ServingError):
    """The model has no signature of that name."""

    status = "FAILED_PRECONDITION"


class NotPossible(ServingError):
    """The model, or the server as it was started, cannot do what is asked."""

    status = "FAILED_PRECONDITION"


class NotOffered(ServingError):
    """The protocol knows what is asked, and this server does not do it."""

    status = "UNIMPLEMENTED"


class ServableNotFound(ServingError):
    """The model, version or label is not served."""

    status = "NOT_FOUND"


class Unavailable(ServingError):
    """The request cannot be answered now; another try may succeed."""

    status = "UNAVAILABLE"

    def __init__(self, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class QueueFull(Unavailable):
    """More rows or bytes are waiting than may."""


class ResourceExhausted(ServingError):
    """The request alone is larger than any may be."""

    status = "RESOURCE_EXHAUSTED"


class DeadlineExceeded(ServingError):
    """The deadline passed before the request was computed."""

    status = "DEADLINE_EXCEEDED"


class EngineFailed(ServingError):
    """The engine raised an error; its text is in the log, not in the answer."""


class Unauthenticated(ServingError):
    """The caller showed no token, or one that is not known."""

    status = "UNAUTHENTICATED"


class Forbidden(ServingError):
    """The caller may not ask for that."""

    status = "PERMISSION_DENIED"


class NotInRepository(ServingError):
    """A model, or any version of it, that is to be loaded is not there."""


class ReloadFailed(ServingError):
    """A reload failed: the new set of models cannot be served, the one before still is."""

    status = "UNKNOWN"

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """The reason by `model`, or `model version: number`."""
        entries = ", ".join(f"{{name: {name} due to error: {reason}}}" for name, reason in sorted(reasons.items()))
        super().__init__(f"{len(reasons)} model(s) did not become available: {{{entries}, }}")
        self.reasons = dict(reasons)


class LoadFailed(FoldserveError):
    """A version was not put into service; the message is the reason shown to operators.

    Attributes:
        cause: The kind of failure in a word, for metrics: the name of the error, such as `GoldenMismatch`.
    """

    def __init__(self, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause or type(self).__name__


class NotNow(LoadFailed):
    """A version could not be tried: this machine has no process, descriptor or memory left for it.

    Nothing is known of the version, and nothing of it needs to change.
    """


class FrontEndsFailed(FoldserveError):
    """Front ends ended too often; the message says how."""


class CannotStart(FoldserveError):
    """The command line or the machine does not allow a start; the message says what to change."""


def shorten(message: str) -> str:
    """The message, cut where it is longer than TensorFlow Serving lets one be."""
    content = message.encode(errors="replace")
    if len(content) <= MAX_MESSAGE_BYTES:
        return message
    return content[:MAX_MESSAGE_BYTES].decode(errors="ignore") + _CUT
