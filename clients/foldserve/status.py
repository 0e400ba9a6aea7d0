"""Status codes of calls, and states of model versions."""

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """gRPC's status codes under their numbers on the wire."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class State(IntEnum):
    """States of a version's life cycle, in order, under TensorFlow Serving's numbers."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """Version of a model on a server.

    Attributes:
        version: The version's number.
        state: AVAILABLE if the version answers requests. END with a status other than OK is a failed load.
        status: OK, or the status code of the failure.
        message: The reason of a failure, as the server words it.
    """

    version: int
    state: State
    status: Status
    message: str
