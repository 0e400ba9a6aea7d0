"""Whether an engine process stands still for so long that it will not go on."""

from collections.abc import Sequence

from foldserve_engine.link.documents import Warmed
from foldserve_engine.link.status_page import Running

from .settings import Watchdog


def is_hang(still_s: float, running: Running | None, warmed: Sequence[Warmed], policy: Watchdog) -> bool:
    """Whether it stands still longer than any batch of that size may take; without a batch, longer than any step."""
    return still_s > (policy.least_s if running is None else longest_s(running.rows, warmed, policy))


def longest_s(rows: int, warmed: Sequence[Warmed], policy: Watchdog) -> float:
    """Most seconds that a batch of that many rows may take."""
    warm = next((size for size in warmed if size.rows >= rows), warmed[-1])
    return max(policy.least_s, policy.factor * warm.seconds)
