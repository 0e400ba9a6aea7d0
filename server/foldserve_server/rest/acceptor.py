"""Acceptor of HTTP connections: waits while descriptors are lacking, instead of trying again and again.

asyncio's own loop logs every refused `accept` of a whole backlog, and schedules as many new attempts (CPython issue
#109564 is the same on Windows).
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable
from socket import socket
from typing import Any

RETRY_S = 1.0
_BACKLOG = 128
_GONE = (ConnectionError, TimeoutError, ssl.SSLError)  # the caller left, or does not speak TLS
log = logging.getLogger(__name__)


class Acceptor:
    """Accepts connections on sockets from `start` on."""

    def __init__(
        self,
        sockets: Iterable[socket],
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        """Accepts nothing yet.

        Args:
            sockets: They are bound, and closed by `stop`.
            protocol: Makes the protocol of a connection.
            tls: The context of encrypted connections.
            handshake_s: The most seconds that a TLS handshake may take.
        """
        self._sockets = tuple(sockets)
        self._protocol = protocol
        self._tls = tls
        self._handshake_s = handshake_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._reported_s = float("-inf")

    def start(self) -> None:
        """Begins to listen."""
        for sock in self._sockets:
            sock.setblocking(False)
            sock.listen(_BACKLOG)
            self._spawn(self._accept_all(sock))

    def stop(self) -> None:
        """Accepts no more connections, and gives up handshakes that are under way."""
        for task in self._tasks:
            task.cancel()
        for sock in self._sockets:
            sock.close()

    async def _accept_all(self, sock: socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
            except ConnectionError:
                continue  # the caller left before it was accepted
            except OSError as error:  # no descriptor is left; or a firewall, or a network that is down (accept(2))
                self._report(error)
                await asyncio.sleep(RETRY_S)
            else:
                self._spawn(self._connect(connection))

    def _report(self, error: OSError) -> None:
        """Logs the error, once in a while for all sockets."""
        now_s = time.monotonic()
        if now_s - self._reported_s >= RETRY_S:
            self._reported_s = now_s
            log.error("no connection can be accepted: %s; those that wait are tried again", error.strerror)

    async def _connect(self, connection: socket) -> None:
        handshake_s = None if self._tls is None else self._handshake_s
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        except _GONE as error:
            log.debug("a connection ended before it could be used: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
