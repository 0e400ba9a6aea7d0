"""What all front ends count, in one memory: a book for each seat, written by who sits there and read by everybody.

What a front end has counted outlives it, and whoever takes its seat goes on counting. An entry of a book is the number
of words of its key, the number of its own words, the key as JSON, and the words; the first word of a book says where
the next entry goes, and is written last.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from mmap import mmap

from foldserve_engine.link.shared_memory import SharedMemory

from ..stats.counters import Key

log = logging.getLogger(__name__)
SLOT_BYTES = 256 << 20  # room for some ten thousand versions; unwritten pages take no memory
_WORD = 8
Entries = dict[Key, memoryview]


class SharedCounterStore:
    """The books of all seats, as one of them sees them: a `stats.counters.CounterStore`."""

    def __init__(self, memory: SharedMemory, seats: int, own: int) -> None:
        """The memory of that many books, of which the one is written here."""
        self.memory = memory
        size = memory.size // seats
        self._books = [_SlotCounters(memory.map, seat * size, size) for seat in range(seats)]
        self._own = self._books[own]
        self._full = False

    @classmethod
    def create(cls, seats: int, own: int, book_bytes: int = SLOT_BYTES) -> "SharedCounterStore":
        """Books in which nothing was counted yet."""
        book = cls(SharedMemory.create(seats * book_bytes, "counts"), seats, own)
        for one in book._books:
            one.begin()
        return book

    @classmethod
    def attach(cls, descriptor: int, seats: int, own: int) -> "SharedCounterStore":
        """The books that the supervisor made."""
        return cls(SharedMemory.attach(descriptor), seats, own)

    def words(self, key: Key, count: int) -> memoryview | list[int]:
        """See `stats.counters.CounterStore`."""
        found = self._own.entries().get(key)
        if found is not None and len(found) == count:
            return found
        added = self._own.add(key, count)
        if added is not None:
            return added
        if not self._full:
            self._full = True
            log.warning("there is no room to count %s for everybody to see: it is missing in the metrics", key)
        return [0] * count

    def every(self, key: Key) -> Sequence[Sequence[int]]:
        """See `stats.counters.CounterStore`."""
        found = (book.entries().get(key) for book in self._books)
        return [words.tolist() for words in found if words is not None]

    def sums(self, kind: str) -> dict[Key, list[int]]:
        """See `stats.counters.CounterStore`."""
        found: dict[Key, list[int]] = {}
        for book in self._books:
            for key, words in list(book.entries().items()):
                if key[0] == kind:
                    before = found.get(key[1:])
                    now = words.tolist()
                    found[key[1:]] = now if before is None else [sum(pair) for pair in zip(before, now, strict=True)]
        return found

    def read(self, seat: int, key: Key) -> Sequence[int]:
        """The words under a key of who sits there; a 0 where there are none."""
        found = self._books[seat].entries().get(key)
        return (0,) if found is None else found.tolist()

    def clear(self, seat: int, kind: str) -> None:
        """Sets what is counted of a kind back to 0: what a front end that is gone had in hand."""
        for key, words in self._books[seat].entries().items():
            if key[0] == kind:
                words[:] = memoryview(bytes(words.nbytes)).cast("q")


class _SlotCounters:
    """One seat's."""

    def __init__(self, memory: mmap, start: int, size: int) -> None:
        self._words = memoryview(memory)[start : start + size].cast("q")
        self._entries: Entries = {}
        self._read = 1

    def begin(self) -> None:
        self._words[0] = 1

    def entries(self) -> Entries:
        """Every entry there is by now."""
        for key, words in self._news():
            self._entries[key] = words
        return self._entries

    def add(self, key: Key, count: int) -> memoryview | None:
        """A new entry; None where there is no room for it."""
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

    def _news(self) -> Iterator[tuple[Key, memoryview]]:
        while self._read < self._words[0]:
            size, count = self._words[self._read : self._read + 2].tolist()
            begin = self._read + 2 + size
            key = tuple(json.loads(self._words[begin - size : begin].tobytes()))
            self._read = begin + count
            yield key, self._words[begin : begin + count]


def _packed(*words: int) -> bytes:
    return b"".join(word.to_bytes(_WORD, "little") for word in words)
