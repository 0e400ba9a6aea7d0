"""What is in flight to an engine, shown by each front end and read by all."""

from dataclasses import dataclass

from foldserve_engine.link.messages import Credits

from ..core.book import Book, Words

QUEUE = "queue"


@dataclass(slots=True)
class Gauge:
    """What all front ends together have in flight; see `engines.life.Queue`."""

    requests: int
    rows: int
    bytes: int
    max_rows: int
    max_bytes: int


def own_words(book: Book, engine: int) -> Words:
    """Where a front end shows its requests, rows and bytes in flight."""
    return book.words((QUEUE, str(engine)), 3)


def read(book: Book, engine: int, credits: Credits) -> Gauge:
    """What all show, of what the engine grants."""
    requests, rows, size = book.sums(QUEUE).get((str(engine),), [0, 0, 0])
    return Gauge(requests, rows, size, *credits)
