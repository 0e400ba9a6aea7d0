"""Whether a front end stands still for so long that it will not go on."""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from ..system.stall_timer import StallTimer

LOOKS = 10  # within the time that an idle one may be silent
_LONGEST_INTERVAL_S = 1.0
_BYTES_A_SECOND = 4 << 20  # a third of what the slowest kind of message is read at by one core of two
_BUSY_SHARE = 0.1
_CPU_TIMES = slice(11, 13)  # user and system, of what follows the name in /proc/PID/stat
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class HeartbeatPolicy:
    """How long a front end may be silent.

    Attributes:
        idle_s: Where it computes next to nothing, or has nothing large in hand.
        longest_s: Where it computes, whatever it has in hand: nothing else is done while a large message is read.
    """

    idle_s: float
    longest_s: float

    @classmethod
    def of(cls, idle_s: float, max_message_bytes: int) -> "HeartbeatPolicy":
        """For a server that takes messages of so many bytes."""
        return cls(idle_s, idle_s + max_message_bytes / _BYTES_A_SECOND)

    def busy_s(self, hand: int) -> float:
        """Where it computes, and has messages of so many bytes in hand."""
        return min(self.longest_s, self.idle_s + hand / _BYTES_A_SECOND)

    @property
    def interval_s(self) -> float:
        """Time between two looks."""
        return min(_LONGEST_INTERVAL_S, self.idle_s / LOOKS)


class Heartbeat:
    """One front end's."""

    def __init__(self, patience: HeartbeatPolicy) -> None:
        """It owes nothing yet."""
        self._patience = patience
        self._silence = StallTimer(patience.interval_s)
        self._idleness = StallTimer(patience.interval_s)

    def missed(self, owed: Hashable, cpu_s: float, hand: int, now_s: float) -> float | None:
        """Within how many seconds it should have answered; None where it still may.

        Args:
            owed: What it has not answered, and how far it has come; None where it owes nothing.
            cpu_s: Seconds that it has computed.
            hand: Bytes of the messages that it has taken in hand since it last answered.
            now_s: The time.
        """
        worked = int(cpu_s / (_BUSY_SHARE * self._patience.idle_s))
        silent_s = self._silence.look(owed, now_s)
        idle_s = self._idleness.look(None if owed is None else (owed, worked), now_s)
        if idle_s > self._patience.idle_s:
            return self._patience.idle_s
        busy_s = self._patience.busy_s(hand)
        return busy_s if silent_s > busy_s else None


def cpu_seconds(pid: int) -> float:
    """Seconds that all threads of a process have computed; 0 for one that has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return _TICK_S * sum(map(int, told[_CPU_TIMES]))
