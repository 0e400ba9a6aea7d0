"""Connections on which nobody asks: the library waits for a first request for as long as somebody stays silent."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from .request_body import STALLED_S

_LOOK_S = 5.0


class IdleConnection(Protocol):
    """One of the library's."""

    def force_close(self) -> None:
        """Hangs up."""


class IdleTimeout:
    """Hangs up on connections whose first request, or its headers, did not come in time.

    Args:
        connections: Gives those that are open.
        patience_s: How long they may take.
    """

    def __init__(self, connections: Callable[[], Iterable[IdleConnection]], patience_s: float = STALLED_S) -> None:
        self._connections = connections
        self._patience_s = patience_s
        self._since: dict[IdleConnection, float | None] = {}

    def heard(self, connection: IdleConnection) -> None:
        """Somebody asked something there."""
        self._since[connection] = None

    def look(self, now: float) -> None:
        """Hangs up on those that were silent for too long, `now` being seconds on any clock."""
        self._since = {one: self._since.get(one, now) for one in self._connections()}
        for connection, since in self._since.items():
            if since is not None and now - since >= self._patience_s:
                connection.force_close()

    async def watch(self) -> None:
        """Looks again and again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look(asyncio.get_running_loop().time())
