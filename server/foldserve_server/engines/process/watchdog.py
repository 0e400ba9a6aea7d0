"""Watchdog of an engine process: decides when it hangs."""

from collections.abc import Sequence

from foldserve_engine.link.handshake import WarmedSize
from foldserve_engine.link.shared_status import Running

from ..settings import WatchdogPolicy


def is_hang(still_s: float, running: Running | None, warmed: Sequence[WarmedSize], policy: WatchdogPolicy) -> bool:
    """Tests whether it is stalled longer than any batch of that size may take; without a batch, than any step."""
    return still_s > (policy.least_s if running is None else longest_s(running.rows, warmed, policy))


def longest_s(rows: int, warmed: Sequence[WarmedSize], policy: WatchdogPolicy) -> float:
    """The most seconds that a batch of that many rows may take."""
    warm = next((size for size in warmed if size.rows >= rows), warmed[-1])
    return max(policy.least_s, policy.factor * warm.seconds)
