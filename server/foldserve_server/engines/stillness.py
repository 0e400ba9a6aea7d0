"""How long a process has stood still, as its watcher sees it."""

from collections.abc import Hashable


class Stillness:
    """Adds up the time between looks for as long as they all see the same.

    A look that comes late adds no more than two intervals: its watcher was held up then, and what it watches most
    likely with it. After the whole server was stopped, or the machine stood still, everybody has time again.
    """

    def __init__(self, interval_s: float) -> None:
        """Looks are to come after every interval."""
        self._most_s = 2 * interval_s
        self._seen: Hashable = None
        self._looked_s = 0.0
        self._still_s = 0.0

    def look(self, seen: Hashable, now_s: float) -> float:
        """Seconds for which this was seen; 0 for None, which is nothing to be waited for."""
        if seen is not None and seen == self._seen:
            self._still_s += min(now_s - self._looked_s, self._most_s)
        else:
            self._still_s = 0.0
        self._seen, self._looked_s = seen, now_s
        return self._still_s
