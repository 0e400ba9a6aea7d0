"""Channel of messages with descriptors between the supervisor and a front end, on which neither side ever blocks."""

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from socket import socket
from typing import Any

from foldserve_contract.records import from_json, to_json
from foldserve_engine.link.channel import MAX_PACKET, Packet
from foldserve_engine.link.packets import PacketKind
from foldserve_engine.link.shared_memory import SharedMemory

from ..engines.connection import PacketConnection
from .messages import MESSAGE_TYPES

_HEAD = struct.Struct("<BBI")
_LARGEST = MAX_PACKET - _HEAD.size - 1
_NUMBERS = {kind: number for number, kind in enumerate(MESSAGE_TYPES)}
OnMessage = Callable[[Any, Sequence[int]], None]


class MessageChannel:
    """End of the channel. A message larger than a packet goes through shared memory of its own."""

    def __init__(self, sock: socket, on_message: OnMessage, on_end: Callable[[], None]) -> None:
        """Owns the socket from then on.

        Args:
            sock: One end of a pair.
            on_message: Called with every message and its descriptors, which it owns then.
            on_end: Called once when the other end is closed.
        """
        self.on_message = on_message
        self._closed = False
        self._connection = PacketConnection(sock, self._on_packet, on_end)

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """Sends a message. The descriptors are given away with it."""
        if self._closed:
            close_all(descriptors)
            return
        content = json.dumps(to_json(message), allow_nan=False).encode()
        number, given = _NUMBERS[type(message)], list(descriptors)
        if len(content) > _LARGEST:
            memory = SharedMemory.create(len(content), "message")
            memory.map[:] = content
            given.append(memory.descriptor)
            content = b""
        head = _HEAD.pack(number, len(given), len(content))
        self._connection.put(PacketKind.MESSAGES, head + content, given, at_once=True)

    def close(self) -> None:
        """Closes this end; no callback is called any more."""
        self._closed = True
        self._connection.close()

    def _on_packet(self, packet: Packet) -> None:
        packet = packet.kept()
        descriptors = iter(packet.descriptors)
        for number, given, content in _split(packet.payload):
            taken = [next(descriptors) for _ in range(given)]
            if not content:
                content = _read(taken.pop())
            self.on_message(from_json(MESSAGE_TYPES[number], json.loads(content)), taken)


def _split(payload: memoryview) -> Iterator[tuple[int, int, bytes]]:
    """The messages of a packet: number of the type, number of descriptors, content."""
    at = 0
    while at < len(payload):
        number, given, size = _HEAD.unpack_from(payload, at)
        at += _HEAD.size
        yield number, given, bytes(payload[at : at + size])
        at += size


def _read(descriptor: int) -> bytes:
    memory = SharedMemory.attach(descriptor)
    content = memory.map[:]
    memory.map.close()
    memory.close()
    return content


def close_all(descriptors: Sequence[int]) -> None:
    """Closes descriptors that are not used."""
    for descriptor in descriptors:
        os.close(descriptor)
