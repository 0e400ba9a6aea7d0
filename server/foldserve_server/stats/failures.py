"""Why requests were not answered, as Triton tells it apart."""

import asyncio
from enum import StrEnum

from ..errors import DeadlineExceeded, EngineFailed, QueueFull, Unavailable


class FailureReason(StrEnum):
    """Triton's reasons.

    Attributes:
        REJECTED: It waited too long, or too many did.
        CANCELED: Its caller left.
        BACKEND: The engine could not compute it, or was not there.
        OTHER: Everything else; most of all, the request was wrong.
    """

    REJECTED = "REJECTED"
    CANCELED = "CANCELED"
    BACKEND = "BACKEND"
    OTHER = "OTHER"

    @classmethod
    def of(cls, error: BaseException) -> "FailureReason":
        """What an error counts as."""
        return next((failure for kinds, failure in _KINDS if isinstance(error, kinds)), cls.OTHER)


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], FailureReason], ...] = (
    ((DeadlineExceeded, QueueFull), FailureReason.REJECTED),
    (asyncio.CancelledError, FailureReason.CANCELED),
    ((EngineFailed, Unavailable), FailureReason.BACKEND),
)
