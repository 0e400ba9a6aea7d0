"""Conversion of grpc's failures to `CallFailure`."""

from typing import Any

import grpc

from ..status import Status
from .protocol import CallFailure

PUSHBACK = "grpc-retry-pushback-ms"


def call_failure(code: grpc.StatusCode, details: str | None, trailers: Any) -> CallFailure:
    """The record of a failed call, with the server's pushback in seconds."""
    return CallFailure(Status[code.name], details or "", _pushback(trailers or ()))


def _pushback(trailers: Any) -> float | None:
    for key, value in trailers:
        if key == PUSHBACK:
            try:
                return int(value) / 1000
            except ValueError:
                return -1.0  # as gRPC specifies: a value that cannot be read forbids a retry
    return None
