"""Everything the client raises on purpose.

```
FoldserveError
├── TensorError                an array has no place on the wire, or cannot become what the model asks for
└── ClientError                everything below is raised by the client alone
    ├── ConfigurationError     a client or a call cannot be made so (also a ValueError)
    ├── ClientClosed           the client has been closed
    ├── ProtocolError          the server's answer is not TensorFlow Serving's protocol
    ├── VersionGone            the version that answered first went away, again and again
    ├── NotReady               `wait_ready` ran out of time (also a TimeoutError)
    └── ServerError            the server refused, or was not reached; has `status` and `message`
        ├── InvalidInput       INVALID_ARGUMENT, OUT_OF_RANGE: the request is wrong
        ├── FailedPrecondition FAILED_PRECONDITION: as for a signature that is not there
        ├── NotFound           NOT_FOUND: no such model, or no such version
        ├── Unauthenticated    UNAUTHENTICATED: no token or certificate, or a wrong one
        ├── PermissionDenied   PERMISSION_DENIED: this caller may not
        ├── Unavailable        UNAVAILABLE: not reached, or too busy; retries did not help
        ├── DeadlineExceeded   DEADLINE_EXCEEDED: out of time (also a TimeoutError)
        ├── ResourceExhausted  RESOURCE_EXHAUSTED: a quota or a limit of the server
        └── Unimplemented      UNIMPLEMENTED: the server does not know this call
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
    """Anything only the client raises."""


class ConfigurationError(ClientError, ValueError):
    """A client cannot be made, or a call not be made, with these arguments."""


class ClientClosed(ClientError):
    """The client has been closed."""


class ProtocolError(ClientError):
    """The server's answer is not what TensorFlow Serving's protocol promises."""


class VersionGone(ClientError):
    """The version that answered the first chunk went away before the last one, again and again."""


class NotReady(ClientError, TimeoutError):
    """What was waited for did not become ready in time."""


class ServerError(ClientError):
    """The server refused a call, or could not be reached.

    Attributes:
        status: gRPC's status code.
        message: The server's own words.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(f"{status.name}: {message}")
        self.status = status
        self.message = message

    def __reduce__(self) -> tuple[type["ServerError"], tuple[Status, str]]:
        return type(self), (self.status, self.message)


class InvalidInput(ServerError):
    """The request is wrong: an input's name, dtype or shape, or an output's name."""


class FailedPrecondition(ServerError):
    """The model is not such that it could answer, as when it has no signature of that name."""


class NotFound(ServerError):
    """The server has no such model, or no such version of it."""


class Unauthenticated(ServerError):
    """The server wants a token or a certificate, or does not accept the one that was sent."""


class PermissionDenied(ServerError):
    """This caller may not do this."""


class Unavailable(ServerError):
    """The server was not reached or is too busy, and retries within the deadline did not help."""


class DeadlineExceeded(ServerError, TimeoutError):
    """The answer did not come in time."""


class ResourceExhausted(ServerError):
    """A quota or a limit of the server is used up."""


class Unimplemented(ServerError):
    """The server does not know this call."""


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
    """The error of the tree that stands for a status."""
    return _BY_STATUS.get(status, ServerError)(status, message)
