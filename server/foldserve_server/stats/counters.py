"""Where is counted: whole numbers under keys, of this process or of several that are read as one."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

Key = tuple[str, ...]


class Counters(Protocol):
    """Some whole numbers."""

    def __getitem__(self, at: int, /) -> int:
        """One of them."""

    def __setitem__(self, at: int, value: int, /) -> None:
        """Changes one of them."""


class CounterStore(Protocol):
    """Words under keys. A key's first part is its kind; it never has another number of words."""

    def words(self, key: Key, count: int) -> Counters:
        """This process's words under a key, to be changed at will; at first they are 0."""

    def every(self, key: Key) -> Sequence[Sequence[int]]:
        """The words under a key of each process that has any."""

    def sums(self, kind: str) -> dict[Key, list[int]]:
        """The words of all processes added up, by the rest of the key."""


class PrivateCounterStore:
    """The book of one process that is read by no other."""

    def __init__(self) -> None:
        """Nothing was counted yet."""
        self._kinds: dict[str, dict[Key, list[int]]] = defaultdict(dict)

    def words(self, key: Key, count: int) -> list[int]:
        """See `CounterStore.words`."""
        return self._kinds[key[0]].setdefault(key[1:], [0] * count)

    def every(self, key: Key) -> Sequence[Sequence[int]]:
        """See `CounterStore.every`."""
        found = self._kinds[key[0]].get(key[1:])
        return () if found is None else (found,)

    def sums(self, kind: str) -> dict[Key, list[int]]:
        """See `CounterStore.sums`."""
        return {key: list(words) for key, words in self._kinds[kind].items()}
