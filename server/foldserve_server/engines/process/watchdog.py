"""Whether an engine process stands still for so long that it will not go on."""

from collections.abc import Sequence

from foldserve_engine.link.handshake import WarmedSize
from foldserve_engine.link.status_page import Running

from ..settings import WatchdogPolicy


def is_hang(still_s: float, running: Running | None, warmed: Sequence[WarmedSize], policy: WatchdogPolicy) -> bool:
    """Whether it stands still longer than any batch of that size may take; without a batch, longer than any step."""
    return still_s > (policy.least_s if running is None else longest_s(running.rows, warmed, policy))


def longest_s(rows: int, warmed: Sequence[WarmedSize], policy: WatchdogPolicy) -> float:
    """Most seconds that a batch of that many rows may take."""
    warm = next((size for size in warmed if size.rows >= rows), warmed[-1])
    return max(policy.least_s, policy.factor * warm.seconds)
