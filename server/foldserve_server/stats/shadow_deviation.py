"""Deviations of a shadow engine's answers from those that callers got."""

import logging
import math
import struct
from collections.abc import Mapping

from foldserve_contract import tolerance

from .counter_store import CounterStore, Key, PrivateCounterStore

log = logging.getLogger(__name__)
_COMPARED, _BEYOND, _FAILED, _SKIPPED, _WORST = range(5)


class Drift:
    """Deviation statistics of one version since it was put into service.

    Attributes:
        engine: The engine whose answers are compared: `onnxruntime` or `tensorflow`.
        bounds: The bundle's promised tolerance, by output.
    """

    def __init__(
        self, engine: str, bounds: Mapping[str, float], store: CounterStore | None = None, name: str = ""
    ) -> None:
        """Counts under a name in the store, by default in one of its own."""
        self.engine = engine
        self.bounds = bounds
        self._store = PrivateCounterStore() if store is None else store
        self._key: Key = ("drift", name)
        self._counters = self._store.counters(self._key, _WORST + len(bounds))

    @property
    def compared(self) -> int:
        """Requests that both engines answered."""
        return self._sum(_COMPARED)

    @property
    def beyond(self) -> int:
        """Compared requests that deviated by more than was promised."""
        return self._sum(_BEYOND)

    @property
    def failed(self) -> int:
        """Requests that the shadow engine did not answer."""
        return self._sum(_FAILED)

    @property
    def skipped(self) -> int:
        """Requests that were drawn and not mirrored, because the shadow engine was still busy with earlier ones."""
        return self._sum(_SKIPPED)

    @property
    def worst(self) -> dict[str, float]:
        """max|output − shadow output| of any request, by output; infinity where only one of them was finite."""
        processes = self._store.by_process(self._key)
        return {
            name: max((_float(counters[_WORST + index]) for counters in processes), default=0.0)
            for index, name in enumerate(self.bounds)
        }

    def fail(self) -> None:
        """Counts a request that the shadow engine did not answer."""
        self._counters[_FAILED] += 1

    def skip(self) -> None:
        """Counts a request that was drawn and not mirrored."""
        self._counters[_SKIPPED] += 1

    def record(self, deviations: Mapping[str, float], where: str) -> None:
        """Records the deviations of one request; warns where they exceed the promise and every one before."""
        self._counters[_COMPARED] += 1
        beyond = {name for name, value in deviations.items() if not tolerance.within(value, self.bounds[name])}
        self._counters[_BEYOND] += bool(beyond)
        for index, name in enumerate(self.bounds):
            value = deviations.get(name, 0.0)
            size = math.inf if math.isnan(value) else value
            before = _float(self._counters[_WORST + index])
            if name in beyond and size > before:
                log.warning(
                    "%s: %s answers otherwise: output %r deviates by %.3g; %.3g is promised",
                    where, self.engine, name, size, self.bounds[name],
                )  # fmt: skip
            self._counters[_WORST + index] = _bits(max(size, before))

    def _sum(self, index: int) -> int:
        return sum(counters[index] for counters in self._store.by_process(self._key))


def _bits(value: float) -> int:
    return int(struct.unpack("q", struct.pack("d", value))[0])


def _float(bits: int) -> float:
    return float(struct.unpack("d", struct.pack("q", bits))[0])
