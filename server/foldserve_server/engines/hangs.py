"""Whether a batch has been running for so long that it will not end."""

from collections.abc import Sequence

from foldserve_engine.link.documents import Warmed
from foldserve_engine.link.status_page import Running

from .settings import Watchdog


def is_hang(running: Running | None, warmed: Sequence[Warmed], policy: Watchdog, now_ns: int) -> bool:
    """Whether the batch is older than any batch of its size may be."""
    return running is not None and (now_ns - running.started_ns) / 1e9 > longest_s(running.rows, warmed, policy)


def longest_s(rows: int, warmed: Sequence[Warmed], policy: Watchdog) -> float:
    """Most seconds that a batch of that many rows may take."""
    warm = next((size for size in warmed if size.rows >= rows), warmed[-1])
    return max(policy.least_s, policy.factor * warm.seconds)
