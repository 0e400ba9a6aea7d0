"""A channel whose packets are received and sent by the event loop."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from socket import socket

from foldserve_engine.link.channel import Channel, Closed, Cut, Packet
from foldserve_engine.link.packets import PacketKind

log = logging.getLogger(__name__)


class PacketConnection:
    """The front end's end of an engine's channel.

    Attributes:
        on_packet: Called with every packet.
        on_end: Called once when the other side has closed it, after the last packet.
    """

    def __init__(self, sock: socket, on_packet: Callable[[Packet], None], on_end: Callable[[], None]) -> None:
        """Owns the socket from then on."""
        self.on_packet = on_packet
        self.on_end = on_end
        self._channel = Channel(sock)
        self._loop = asyncio.get_running_loop()
        self._descriptor = self._channel.fileno()
        self._open = True
        self._scheduled = False
        self._loop.add_reader(self._descriptor, self.receive)

    def put(self, kind: PacketKind, record: bytes, descriptors: Sequence[int] = (), *, at_once: bool = False) -> None:
        """Sends a record, by default together with all that is put in this turn of the event loop."""
        self._channel.put(kind, record, descriptors)
        if at_once and not self._scheduled:
            self._flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def receive(self) -> None:
        """Hands over every packet that has come."""
        try:
            while self._open and (packet := self._channel.receive()) is not None:
                self.on_packet(packet)
        except Closed as error:
            if isinstance(error, Cut):
                log.error("%s; the connection is given up", error)
            self._end()

    def close(self) -> None:
        """Closes the socket; neither callback is called any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._channel.close()

    def _flush(self) -> None:
        self._scheduled = False
        if not self._open:
            return
        try:
            if not self._channel.flush():
                self._scheduled = True
                self._loop.add_writer(self._descriptor, self._writable)
        except Closed:
            pass  # what the engine said before it died is still to be received; the end comes after it

    def _writable(self) -> None:
        self._loop.remove_writer(self._descriptor)
        self._flush()

    def _end(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self.on_end()
