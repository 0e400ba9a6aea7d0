"""Requests in flight to an engine, counted by each front end and read by all."""

from dataclasses import dataclass

from foldserve_engine.link.packets import Credits

from ..stats.counter_store import Counters, CounterStore

QUEUE = "queue"


@dataclass(slots=True)
class QueueGauge:
    """The requests, rows and bytes that all front ends together have in flight; see `QueueState`."""

    requests: int
    rows: int
    bytes: int
    max_rows: int
    max_bytes: int


def own_counters(store: CounterStore, engine: int) -> Counters:
    """This front end's requests, rows and bytes in flight to an engine."""
    return store.counters((QUEUE, str(engine)), 3)


def read_queue(store: CounterStore, engine: int, credits: Credits) -> QueueGauge:
    """The sum over all front ends, beside what the engine grants."""
    requests, rows, size = store.totals(QUEUE).get((str(engine),), [0, 0, 0])
    return QueueGauge(requests, rows, size, *credits)
