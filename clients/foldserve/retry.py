"""Retry policy for calls that end as UNAVAILABLE."""

import random
from dataclasses import dataclass

from .errors import ConfigurationError
from .status import Status
from .transport.protocol import CallFailure

PUSHBACK_JITTER = 0.25


@dataclass(frozen=True, slots=True)
class Retry:
    """Retry policy: UNAVAILABLE alone is retried, and never past the call's deadline.

    The n-th delay is uniform between half of and the whole of `min(maximum, initial · multiplierⁿ⁻¹)`. If the server
    sends a pushback (`grpc-retry-pushback-ms`), that is the delay instead, stretched by up to a quarter so that clients
    do not all return at once; such retries continue until the deadline, and a negative pushback forbids them.

    Attributes:
        attempts: Most attempts of a call without a pushback, the first included; 1 turns all retries off.
        initial: Seconds before the second attempt.
        maximum: Most seconds between two attempts.
        multiplier: Growth of the delay from one attempt to the next.
    """

    attempts: int = 6
    initial: float = 0.1
    maximum: float = 5.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.initial < 0 or self.maximum < 0 or self.multiplier < 1:
            raise ConfigurationError(
                f"attempts and multiplier must be at least 1 and the delays not negative, received {self}"
            )

    def delay(self, attempt: int, failure: CallFailure, rng: random.Random) -> float | None:
        """Seconds until the next attempt after the given one (counted from 1), or None to give up."""
        if failure.status is not Status.UNAVAILABLE or self.attempts == 1:
            return None
        if failure.pushback is not None:
            return failure.pushback * rng.uniform(1, 1 + PUSHBACK_JITTER) if failure.pushback >= 0 else None
        if attempt >= self.attempts:
            return None
        return self.backoff(attempt, rng)

    def backoff(self, attempt: int, rng: random.Random) -> float:
        """The jittered delay after the given attempt, counted from 1."""
        # capped before the power is taken: 2.0 ** 2000 overflows
        growth = self.multiplier ** min(attempt - 1, 60)
        return min(self.maximum, self.initial * growth) * rng.uniform(0.5, 1)
