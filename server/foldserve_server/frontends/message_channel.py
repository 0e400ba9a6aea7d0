"""Documents with descriptors between the supervisor and a front end, over a socket that neither side waits for."""

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
    """One end. What is large goes through memory of its own."""

    def __init__(self, sock: socket, on_document: OnMessage, on_end: Callable[[], None]) -> None:
        """Owns the socket from then on.

        Args:
            sock: One end of a pair.
            on_document: Called with every document and its descriptors, which are then the called one's.
            on_end: Called once when there is no other side any more.
        """
        self.on_document = on_document
        self._closed = False
        self._connection = PacketConnection(sock, self._on_packet, on_end)

    def send(self, document: Any, descriptors: Sequence[int] = ()) -> None:
        """Sends a document. The descriptors are given away with it."""
        if self._closed:
            close_all(descriptors)
            return
        content = json.dumps(to_json(document), allow_nan=False).encode()
        number, given = _NUMBERS[type(document)], list(descriptors)
        if len(content) > _LARGEST:
            memory = SharedMemory.create(len(content), "document")
            memory.map[:] = content
            given.append(memory.descriptor)
            content = b""
        head = _HEAD.pack(number, len(given), len(content))
        self._connection.put(PacketKind.DOCUMENTS, head + content, given, at_once=True)

    def close(self) -> None:
        """Closes it; nothing is called any more."""
        self._closed = True
        self._connection.close()

    def _on_packet(self, packet: Packet) -> None:
        packet = packet.kept()
        descriptors = iter(packet.descriptors)
        for number, given, content in _split(packet.payload):
            taken = [next(descriptors) for _ in range(given)]
            if not content:
                content = _read(taken.pop())
            self.on_document(from_json(MESSAGE_TYPES[number], json.loads(content)), taken)


def _split(payload: memoryview) -> Iterator[tuple[int, int, bytes]]:
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
    """Closes descriptors that nobody wants."""
    for descriptor in descriptors:
        os.close(descriptor)
