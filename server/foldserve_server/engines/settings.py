"""Settings of an engine process: how it runs, and how it is supervised."""

from collections.abc import Callable
from dataclasses import dataclass, field

from foldserve_engine.spec import SPEC_FIELDS, EngineSpec

MAX_SLOTS = 1024  # requests that one front end may have in flight to one engine


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Policy of restarts after crashes.

    Attributes:
        limit: The number of crashes within `window_s` that ends it.
        window_s: See `limit`.
        first_delay_s: Wait before the first restart; doubled for each crash in the window.
        longest_delay_s: The longest wait.
    """

    limit: int = 5
    window_s: float = 60.0
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0


@dataclass(frozen=True, slots=True)
class WatchdogPolicy:
    """Policy of the watchdog: a batch hangs after max(`least_s`, `factor` × the warm time of its size).

    Attributes:
        least_s: No batch younger than this is a hang. An engine without a batch hangs if it does nothing for so long.
        factor: How many times slower than when it was warmed a batch may be.
        interval_s: Seconds between two checks.
    """

    least_s: float = 10.0
    factor: float = 20.0
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class EngineSettings(EngineSpec):
    """Settings of an engine process: its spec, and how it is supervised.

    Attributes:
        max_request_bytes: Most bytes of inputs and outputs of one request; beyond: ResourceExhausted.
        load_timeout_s: Seconds that loading, warming and checking may take.
        batches_of_others: The number of batches that serving engines have begun so far, where an engine loads in short
            turns for their sake.
        restarts: When a crashed engine is started again.
        watchdog: When it counts as hung.
    """

    max_request_bytes: int = 256 << 20
    load_timeout_s: float = 300.0
    batches_of_others: Callable[[], int] | None = field(default=None, compare=False)
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    watchdog: WatchdogPolicy = field(default_factory=WatchdogPolicy)

    def __post_init__(self) -> None:
        self.check()
        if min(self.max_request_bytes, self.load_timeout_s) <= 0:
            raise ValueError(f"limits must be positive, received {self}")

    @property
    def spec(self) -> EngineSpec:
        """The part that the engine process gets."""
        return EngineSpec(**{name: getattr(self, name) for name in SPEC_FIELDS})
