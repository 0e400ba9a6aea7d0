"""Errors that the client raises on purpose.

```
FoldserveError
├── TensorError                an array cannot be sent, or not be cast to what the model takes
└── ClientError                errors of the client alone
    ├── ConfigurationError     arguments of a client or a call are not valid (also a ValueError)
    ├── ClientClosed           the client has been closed
    ├── ProtocolError          the server's response does not follow TensorFlow Serving's protocol
    ├── VersionGone            the version that answered first was unloaded, in every repetition of the call
    ├── NotReady               `wait_ready` ran out of time (also a TimeoutError)
    └── ServerError            the server refused the call, or was not reached; has `status` and `message`
        ├── InvalidInput       INVALID_ARGUMENT, OUT_OF_RANGE: the request is wrong
        ├── FailedPrecondition FAILED_PRECONDITION: such as a signature that the model does not have
        ├── NotFound           NOT_FOUND: no such model, or no such version
        ├── Unauthenticated    UNAUTHENTICATED: no valid token or certificate
        ├── PermissionDenied   PERMISSION_DENIED: the caller is not allowed to do this
        ├── Unavailable        UNAVAILABLE: not reached, or overloaded, in spite of retries
        ├── DeadlineExceeded   DEADLINE_EXCEEDED: out of time (also a TimeoutError)
        ├── ResourceExhausted  RESOURCE_EXHAUSTED: a quota or a limit of the server
        └── Unimplemented      UNIMPLEMENTED: the server does not have this method
```
`FoldserveError` and `TensorError` are shared with the server and the exporter. Any other status is a plain
`ServerError`. gRPC's own exceptions never reach the caller.
"""

from foldserve_contract.errors import FoldserveError, TensorError

from .status import Status

__all__ = [
    "ClientClosed",
    "ClientError",
    "ConfigurationError",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FoldserveError",
    "InvalidInput",
    "NotFound",
    "NotReady",
    "PermissionDenied",
    "ProtocolError",
    "ResourceExhausted",
    "ServerError",
    "TensorError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "VersionGone",
    "server_error",
]


class ClientError(FoldserveError):
    """Base of all errors that only the client raises."""


class ConfigurationError(ClientError, ValueError):
    """Arguments of a client or a call are not valid."""


class ClientClosed(ClientError):
    """The client has been closed."""


class ProtocolError(ClientError):
    """The server's response does not follow TensorFlow Serving's protocol."""


class VersionGone(ClientError):
    """The version that answered the first chunk was unloaded before the last, in every repetition of the call."""


class NotReady(ClientError, TimeoutError):
    """The model or the server did not become ready in time."""


class ServerError(ClientError):
    """The server refused a call, or could not be reached.

    Attributes:
        status: gRPC's status code.
        message: The server's message.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(f"{status.name}: {message}")
        self.status = status
        self.message = message

    def __reduce__(self) -> tuple[type["ServerError"], tuple[Status, str]]:
        return type(self), (self.status, self.message)


class InvalidInput(ServerError):
    """The request is not valid: an input's name, dtype or shape, or an output's name."""


class FailedPrecondition(ServerError):
    """The model cannot answer such a request: for example, it has no signature of that name."""


class NotFound(ServerError):
    """The server has no such model, or no such version of it."""


class Unauthenticated(ServerError):
    """The server requires a token or a certificate, or does not accept the one that was sent."""


class PermissionDenied(ServerError):
    """The caller is not allowed to do this."""


class Unavailable(ServerError):
    """The server was not reached or is overloaded, in spite of retries within the deadline."""


class DeadlineExceeded(ServerError, TimeoutError):
    """The response did not arrive in time."""


class ResourceExhausted(ServerError):
    """A quota or a limit of the server is used up."""


class Unimplemented(ServerError):
    """The server does not have this method."""


_BY_STATUS: dict[Status, type[ServerError]] = {
    Status.INVALID_ARGUMENT: InvalidInput,
    Status.OUT_OF_RANGE: InvalidInput,
    Status.FAILED_PRECONDITION: FailedPrecondition,
    Status.NOT_FOUND: NotFound,
    Status.UNAUTHENTICATED: Unauthenticated,
    Status.PERMISSION_DENIED: PermissionDenied,
    Status.UNAVAILABLE: Unavailable,
    Status.DEADLINE_EXCEEDED: DeadlineExceeded,
    Status.RESOURCE_EXHAUSTED: ResourceExhausted,
    Status.UNIMPLEMENTED: Unimplemented,
}


def server_error(status: Status, message: str) -> ServerError:
    """The error that stands for a status."""
    return _BY_STATUS.get(status, ServerError)(status, message)
