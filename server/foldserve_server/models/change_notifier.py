"""Notification of changes to any number of waiting tasks."""

import asyncio


class Changes:
    """Wakes every task that took a ticket before the change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ticket(self) -> asyncio.Event:
        """An event set at the next change: take it, look at the state, then wait, and no change is missed."""
        return self._next

    def ring(self) -> None:
        """Announces a change."""
        self._next.set()
        self._next = asyncio.Event()
