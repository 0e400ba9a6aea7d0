"""Heartbeat of a front end: whether its event loop still answers, with allowance for large messages."""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from ..system.stall_timer import StallTimer

CHECKS = 10  # within the time that an idle front end may be silent
_LONGEST_INTERVAL_S = 1.0
_BYTES_PER_SECOND = 4 << 20  # a third of the rate at which one core of two reads the slowest kind of message
_BUSY_SHARE = 0.1
_CPU_TIMES = slice(11, 13)  # user and system, of what follows the name in /proc/PID/stat
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """Longest time that a front end may be silent.

    Attributes:
        idle_s: Seconds for one that computes next to nothing, or has no large message in progress.
        longest_s: Seconds for one that computes, whatever it has in progress: nothing else is done while a large
            message is read.
    """

    idle_s: float
    longest_s: float

    @classmethod
    def of(cls, idle_s: float, max_message_bytes: int) -> "HeartbeatPolicy":
        """The policy of a server that accepts messages of up to `max_message_bytes`."""
        return cls(idle_s, idle_s + max_message_bytes / _BYTES_PER_SECOND)

    def busy_s(self, busy_bytes: int) -> float:
        """Seconds for one that computes and has messages of so many bytes in progress."""
        return min(self.longest_s, self.idle_s + busy_bytes / _BYTES_PER_SECOND)

    @property
    def interval_s(self) -> float:
        """Seconds between two checks."""
        return min(_LONGEST_INTERVAL_S, self.idle_s / CHECKS)


class Heartbeat:
    """The heartbeat of one front end."""

    def __init__(self, policy: HeartbeatPolicy) -> None:
        """No answer is awaited yet."""
        self._policy = policy
        self._silence = StallTimer(policy.interval_s)
        self._idleness = StallTimer(policy.interval_s)

    def overdue(self, awaited: Hashable, cpu_s: float, busy_bytes: int, now_s: float) -> float | None:
        """The limit in seconds within which it should have answered; None while it still may.

        Args:
            awaited: How far it has answered, while answers are missing; None where none is.
            cpu_s: Seconds of processor time that it has used.
            busy_bytes: Bytes of the messages in progress since its last heartbeat.
            now_s: The time.
        """
        worked = int(cpu_s / (_BUSY_SHARE * self._policy.idle_s))
        silent_s = self._silence.observe(awaited, now_s)
        idle_s = self._idleness.observe(None if awaited is None else (awaited, worked), now_s)
        if idle_s > self._policy.idle_s:
            return self._policy.idle_s
        busy_s = self._policy.busy_s(busy_bytes)
        return busy_s if silent_s > busy_s else None


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time of all threads of a process; 0 for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return _TICK_S * sum(map(int, fields[_CPU_TIMES]))
