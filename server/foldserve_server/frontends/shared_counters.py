"""Counters of all front ends in one shared memory: a slot for each, written by its process and read by all.

The counts of a front end outlive it, and its successor in the slot goes on counting. An entry of a slot is the number
of words of its key, the number of its counters, the key as JSON, and the counters, in words of 8 bytes; the first word
of a slot is the offset of the next entry, and is written last.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from mmap import mmap

from foldserve_engine.link.shared_memory import SharedMemory

from ..stats.counter_store import Key

log = logging.getLogger(__name__)
SLOT_BYTES = 256 << 20  # room for some ten thousand versions; unwritten pages take no memory
_WORD = 8
Entries = dict[Key, memoryview]


class SharedCounterStore:
    """The counters of all slots, as the process of one of them sees them: a `CounterStore`."""

    def __init__(self, memory: SharedMemory, slots: int, own: int) -> None:
        """The memory of that many slots, of which `own` is written here."""
        self.memory = memory
        size = memory.size // slots
        self._slots = [_SlotCounters(memory.map, slot * size, size) for slot in range(slots)]
        self._own = self._slots[own]
        self._full = False

    @classmethod
    def create(cls, slots: int, own: int, slot_bytes: int = SLOT_BYTES) -> "SharedCounterStore":
        """A store without counters."""
        store = cls(SharedMemory.create(slots * slot_bytes, "counters"), slots, own)
        for slot in store._slots:
            slot.begin()
        return store

    @classmethod
    def attach(cls, descriptor: int, slots: int, own: int) -> "SharedCounterStore":
        """The store that the supervisor made."""
        return cls(SharedMemory.attach(descriptor), slots, own)

    def counters(self, key: Key, count: int) -> memoryview | list[int]:
        """See `CounterStore`. Where the memory is full, counters that no other process sees."""
        counters = self._own.entries().get(key)
        if counters is not None and len(counters) == count:
            return counters
        added = self._own.add(key, count)
        if added is not None:
            return added
        if not self._full:
            self._full = True
            log.warning("there is no room to count %s for all processes to see: it is missing in the metrics", key)
        return [0] * count

    def by_process(self, key: Key) -> Sequence[Sequence[int]]:
        """See `CounterStore`."""
        entries = (slot.entries().get(key) for slot in self._slots)
        return [counters.tolist() for counters in entries if counters is not None]

    def totals(self, kind: str) -> dict[Key, list[int]]:
        """See `CounterStore`."""
        totals: dict[Key, list[int]] = {}
        for slot in self._slots:
            for key, counters in list(slot.entries().items()):
                if key[0] == kind:
                    before, own = totals.get(key[1:]), counters.tolist()
                    totals[key[1:]] = own if before is None else [sum(pair) for pair in zip(before, own, strict=True)]
        return totals

    def read(self, slot: int, key: Key) -> Sequence[int]:
        """The counters under a key of one slot; a single 0 where there are none."""
        counters = self._slots[slot].entries().get(key)
        return (0,) if counters is None else counters.tolist()

    def clear(self, slot: int, kind: str) -> None:
        """Resets the counters of a kind to 0: what was in progress in a process that has ended."""
        for key, counters in self._slots[slot].entries().items():
            if key[0] == kind:
                counters[:] = memoryview(bytes(counters.nbytes)).cast("q")


class _SlotCounters:
    """The counters of one slot."""

    def __init__(self, memory: mmap, start: int, size: int) -> None:
        self._words = memoryview(memory)[start : start + size].cast("q")
        self._entries: Entries = {}
        self._read = 1

    def begin(self) -> None:
        self._words[0] = 1

    def entries(self) -> Entries:
        """Every entry that was added so far."""
        for key, counters in self._new_entries():
            self._entries[key] = counters
        return self._entries

    def add(self, key: Key, count: int) -> memoryview | None:
        """A new entry; None where the slot is full."""
        text = json.dumps(key).encode()
        size = -(-len(text) // _WORD)
        begin = self._words[0] + 2 + size
        if begin + count > len(self._words):
            return None
        self._words[self._words[0] : self._words[0] + 2] = memoryview(_packed(size, count)).cast("q")
        self._words[begin - size : begin] = memoryview(text.ljust(size * _WORD)).cast("q")
        self._words[begin : begin + count] = memoryview(bytes(count * _WORD)).cast("q")
        self._words[0] = begin + count
        return self.entries()[key]

    def _new_entries(self) -> Iterator[tuple[Key, memoryview]]:
        while self._read < self._words[0]:
            size, count = self._words[self._read : self._read + 2].tolist()
            begin = self._read + 2 + size
            key = tuple(json.loads(self._words[begin - size : begin].tobytes()))
            self._read = begin + count
            yield key, self._words[begin : begin + count]


def _packed(*words: int) -> bytes:
    return b"".join(word.to_bytes(_WORD, "little") for word in words)
