"""A bell that any number of tasks may wait for."""

import asyncio


class Changes:
    """Wakes everyone who took a ticket before the change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ticket(self) -> asyncio.Event:
        """An event set at the next change: take it, look at the state, then wait, and no change is missed."""
        return self._next

    def ring(self) -> None:
        """Something changed."""
        self._next.set()
        self._next = asyncio.Event()
