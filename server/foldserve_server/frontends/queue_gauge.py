"""What is in flight to an engine, shown by each front end and read by all."""

from dataclasses import dataclass

from foldserve_engine.link.packets import Credits

from ..stats.counters import Counters, CounterStore

QUEUE = "queue"


@dataclass(slots=True)
class QueueGauge:
    """What all front ends together have in flight; see `engines.process.supervisor.QueueState`."""

    requests: int
    rows: int
    bytes: int
    max_rows: int
    max_bytes: int


def own_counters(book: CounterStore, engine: int) -> Counters:
    """Where a front end shows its requests, rows and bytes in flight."""
    return book.words((QUEUE, str(engine)), 3)


def read_queue(book: CounterStore, engine: int, credits: Credits) -> QueueGauge:
    """What all show, of what the engine grants."""
    requests, rows, size = book.sums(QUEUE).get((str(engine),), [0, 0, 0])
    return QueueGauge(requests, rows, size, *credits)
