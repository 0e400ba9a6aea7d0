"""Restart policy: delays between restarts that double with each crash, and a limit of crashes."""

from collections import deque

from ..settings import RestartPolicy


class RestartBackoff:
    """The crashes of one engine within the window."""

    def __init__(self, policy: RestartPolicy) -> None:
        """No crash yet."""
        self._policy = policy
        self._times: deque[float] = deque()

    def note(self, now_s: float) -> float | None:
        """Records a crash; gives the seconds to wait before the next start, or None after too many crashes."""
        self._times.append(now_s)
        while self._times[0] <= now_s - self._policy.window_s:
            self._times.popleft()
        count = len(self._times)
        if count >= self._policy.limit:
            return None
        return float(min(self._policy.first_delay_s * 2 ** (count - 1), self._policy.longest_delay_s))
