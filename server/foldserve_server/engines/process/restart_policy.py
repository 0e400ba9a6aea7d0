"""How often an engine has crashed, and when it may be started again."""

from collections import deque

from ..settings import RestartPolicy


class RestartBackoff:
    """The crashes of one engine within the window."""

    def __init__(self, policy: RestartPolicy) -> None:
        """None yet."""
        self._policy = policy
        self._times: deque[float] = deque()

    def note(self, now_s: float) -> float | None:
        """Notes a crash; seconds to wait before the next start, or None if there were too many."""
        self._times.append(now_s)
        while self._times[0] <= now_s - self._policy.window_s:
            self._times.popleft()
        count = len(self._times)
        if count >= self._policy.limit:
            return None
        return float(min(self._policy.first_delay_s * 2 ** (count - 1), self._policy.longest_delay_s))
