"""Timeout of connections without a request.

The library has one timeout for both a connection's first request and the next one on a connection that is kept alive:
about an hour. Here only the first is limited, and callers may keep idle connections.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from .request_body import STALLED_S

_INTERVAL_S = 5.0


class IdleConnection(Protocol):
    """Connection of the library, which can be closed."""

    def force_close(self) -> None:
        """Closes the connection at once."""


class IdleTimeout:
    """Closes connections whose first request, or its headers, did not arrive in time.

    Args:
        connections: Gives the connections that are open.
        timeout_s: The most seconds until the first request.
    """

    def __init__(self, connections: Callable[[], Iterable[IdleConnection]], timeout_s: float = STALLED_S) -> None:
        self._connections = connections
        self._timeout_s = timeout_s
        self._since: dict[IdleConnection, float | None] = {}  # None after the first request

    def request_seen(self, connection: IdleConnection) -> None:
        """Exempts a connection, on which a request has arrived."""
        self._since[connection] = None

    def check(self, now: float) -> None:
        """Closes the connections that were idle for too long; `now` is in seconds, on any clock."""
        self._since = {connection: self._since.get(connection, now) for connection in self._connections()}
        for connection, since in self._since.items():
            if since is not None and now - since >= self._timeout_s:
                connection.force_close()

    async def run(self) -> None:
        """Checks at intervals, until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            self.check(asyncio.get_running_loop().time())
