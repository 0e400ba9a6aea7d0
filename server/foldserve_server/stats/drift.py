"""How far another engine's answers were from those that callers got."""

import logging
import math
import struct
from collections.abc import Mapping

from foldserve_contract import tolerance

from .counters import CounterStore, Key, PrivateCounterStore

log = logging.getLogger(__name__)
_COMPARED, _BEYOND, _FAILED, _SKIPPED, _WORST = range(5)


class Drift:
    """Figures of one version since it was put into service.

    Attributes:
        engine: The engine whose answers are compared: `onnxruntime` or `tensorflow`.
        bounds: The bundle's promised tolerance, by output.
    """

    def __init__(
        self, engine: str, bounds: Mapping[str, float], book: CounterStore | None = None, name: str = ""
    ) -> None:
        """Counts under a name in the book; by default in a book of its own."""
        self.engine = engine
        self.bounds = bounds
        self._book = PrivateCounterStore() if book is None else book
        self._key: Key = ("drift", name)
        self._words = self._book.words(self._key, _WORST + len(bounds))

    @property
    def compared(self) -> int:
        """Requests that both engines answered."""
        return self._sum(_COMPARED)

    @property
    def beyond(self) -> int:
        """How many of them deviated by more than was promised."""
        return self._sum(_BEYOND)

    @property
    def failed(self) -> int:
        """Requests that the other engine did not answer."""
        return self._sum(_FAILED)

    @property
    def skipped(self) -> int:
        """Requests that were drawn and not mirrored, because the other engine was still busy with earlier ones."""
        return self._sum(_SKIPPED)

    @property
    def worst(self) -> dict[str, float]:
        """max|one − other| of any request, by output; infinity where only one of them was finite."""
        every = self._book.every(self._key)
        return {
            name: max((_float(words[_WORST + at]) for words in every), default=0.0)
            for at, name in enumerate(self.bounds)
        }

    def fail(self) -> None:
        """The other engine did not answer a request."""
        self._words[_FAILED] += 1

    def skip(self) -> None:
        """A request was drawn and not mirrored."""
        self._words[_SKIPPED] += 1

    def note(self, deviations: Mapping[str, float], where: str) -> None:
        """Takes in what one request deviated by; warns where that is more than promised, and more than ever before."""
        self._words[_COMPARED] += 1
        beyond = {name for name, value in deviations.items() if not tolerance.within(value, self.bounds[name])}
        self._words[_BEYOND] += bool(beyond)
        for at, name in enumerate(self.bounds):
            value = deviations.get(name, 0.0)
            size = math.inf if math.isnan(value) else value
            before = _float(self._words[_WORST + at])
            if name in beyond and size > before:
                log.warning(
                    "%s: %s answers otherwise: output %r deviates by %.3g; %.3g is promised",
                    where, self.engine, name, size, self.bounds[name],
                )  # fmt: skip
            self._words[_WORST + at] = _word(max(size, before))

    def _sum(self, at: int) -> int:
        return sum(words[at] for words in self._book.every(self._key))


def _word(value: float) -> int:
    return int(struct.unpack("q", struct.pack("d", value))[0])


def _float(word: int) -> float:
    return float(struct.unpack("d", struct.pack("q", word))[0])
