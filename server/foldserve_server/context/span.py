"""The trace span of a prediction, and the tracer that begins one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Span(Protocol):
    """Prediction in a trace."""

    def served(self, version: int, rows: int) -> None:
        """Records the version that answered, and its number of rows."""


class _UntracedSpan:
    def served(self, version: int, rows: int) -> None:
        pass


_UNTRACED = nullcontext(_UntracedSpan())
Tracer = Callable[[str], AbstractContextManager[Span]]


def untraced(model: str) -> AbstractContextManager[Span]:
    """The tracer used where traces are off."""
    return _UNTRACED
