"""Where a trace of predictions goes, if anywhere."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Span(Protocol):
    """One prediction in a trace."""

    def served(self, version: int, rows: int) -> None:
        """It was answered."""


class _Nothing:
    def served(self, version: int, rows: int) -> None:
        pass


_NOTHING = nullcontext(_Nothing())
Tracer = Callable[[str], AbstractContextManager[Span]]


def untraced(model: str) -> AbstractContextManager[Span]:
    """The tracer where nobody wants traces."""
    return _NOTHING
