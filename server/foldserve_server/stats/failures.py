"""Reasons of failed requests, in Triton's terms."""

import asyncio
from enum import StrEnum

from ..errors import DeadlineExceeded, EngineFailed, QueueFull, Unavailable


class FailureReason(StrEnum):
    """Triton's reasons.

    Attributes:
        REJECTED: The request waited too long, or too many did.
        CANCELED: The caller left.
        BACKEND: The engine could not compute it, or was not available.
        OTHER: Everything else; most of all, an invalid request.
    """

    REJECTED = "REJECTED"
    CANCELED = "CANCELED"
    BACKEND = "BACKEND"
    OTHER = "OTHER"

    @classmethod
    def of(cls, error: BaseException) -> "FailureReason":
        """The reason that an error counts as."""
        return next((reason for kinds, reason in _KINDS if isinstance(error, kinds)), cls.OTHER)


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], FailureReason], ...] = (
    ((DeadlineExceeded, QueueFull), FailureReason.REJECTED),
    (asyncio.CancelledError, FailureReason.CANCELED),
    ((EngineFailed, Unavailable), FailureReason.BACKEND),
)
