"""Named integer counters, of this process or summed over several."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

Key = tuple[str, ...]


class Counters(Protocol):
    """A fixed number of integers under one key."""

    def __getitem__(self, index: int, /) -> int:
        """The counter at that index."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Sets the counter at that index."""


class CounterStore(Protocol):
    """Counters under keys. A key's first part is its kind; a key always has the same number of counters."""

    def counters(self, key: Key, count: int) -> Counters:
        """This process's counters under a key, at first 0, to be changed in place."""

    def by_process(self, key: Key) -> Sequence[Sequence[int]]:
        """The counters under a key of each process that has any."""

    def totals(self, kind: str) -> dict[Key, list[int]]:
        """The counters of a kind, summed over all processes, by the rest of the key."""


class PrivateCounterStore:
    """The counters of a single process."""

    def __init__(self) -> None:
        """No counter exists yet."""
        self._kinds: dict[str, dict[Key, list[int]]] = defaultdict(dict)

    def counters(self, key: Key, count: int) -> list[int]:
        """See `CounterStore`."""
        return self._kinds[key[0]].setdefault(key[1:], [0] * count)

    def by_process(self, key: Key) -> Sequence[Sequence[int]]:
        """See `CounterStore`."""
        counters = self._kinds[key[0]].get(key[1:])
        return () if counters is None else (counters,)

    def totals(self, kind: str) -> dict[Key, list[int]]:
        """See `CounterStore`."""
        return {key: list(counters) for key, counters in self._kinds[kind].items()}
