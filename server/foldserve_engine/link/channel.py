"""Packets with descriptors over a socket that neither side ever waits for."""

import array
import contextlib
import os
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .packets import PacketKind

MAX_PACKET = 60 << 10
MAX_DESCRIPTORS = 16
_ITEM = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE(MAX_DESCRIPTORS * _ITEM)
_SEND_BUFFER = 1 << 20
_RECEIVE = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_CUT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_NO_SIGNAL = int(socket.MSG_NOSIGNAL)


class Closed(Exception):
    """The other side has closed the socket, or is dead."""


class Cut(Closed):
    """Descriptors of a packet were lost, most likely because this process has none left."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that came, with descriptors that are now the receiver's."""

    kind: PacketKind
    payload: memoryview
    descriptors: tuple[int, ...]

    def kept(self) -> "Packet":
        """The packet with a payload of its own, which later packets do not overwrite."""
        return Packet(self.kind, memoryview(bytes(self.payload)), self.descriptors)


@dataclass(slots=True)
class _Outgoing:
    """A packet to be sent; it may grow by records of its kind until it is."""

    kind: PacketKind
    payload: list[bytes]
    size: int
    descriptors: list[int]

    def takes(self, kind: PacketKind, size: int, descriptors: int) -> bool:
        return (
            self.kind is kind
            and self.size + size <= MAX_PACKET
            and len(self.descriptors) + descriptors <= MAX_DESCRIPTORS
        )


class Channel:
    """End of a SOCK_SEQPACKET pair."""

    def __init__(self, sock: socket.socket) -> None:
        """An end, which the channel owns from then on."""
        self._socket = sock
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # as far as the system lets it
        self._buffer = bytearray(MAX_PACKET + 1)
        self._outgoing: deque[_Outgoing] = deque()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """True if `flush` has something to send."""
        return bool(self._outgoing)

    def put(self, kind: PacketKind, record: bytes, descriptors: Sequence[int] = ()) -> None:
        """Adds a record to what `flush` will send. The descriptors are the channel's from then on."""
        last = self._outgoing[-1] if self._outgoing else None
        if last is None or not last.takes(kind, len(record), len(descriptors)):
            last = _Outgoing(kind, [], 1, [])
            self._outgoing.append(last)
        last.payload.append(record)
        last.size += len(record)
        last.descriptors.extend(descriptors)

    def flush(self) -> bool:
        """Sends as much as the other side has room for; gives whether that was all.

        Raises:
            Closed: There is no other side any more.
        """
        while self._outgoing:
            if not self._send(self._outgoing[0]):
                return False
            _close_all(self._outgoing.popleft().descriptors)
        return True

    def receive(self) -> Packet | None:
        """The next packet, or None where none is waiting. It is valid until the next call.

        Raises:
            Closed: All has been received and nothing more will come.
        """
        try:
            size, ancillary, flags, _ = self._socket.recvmsg_into([self._buffer], _ANCILLARY, _RECEIVE)
        except BlockingIOError:
            return None
        except ConnectionError as error:
            raise Closed(str(error)) from error
        descriptors = _descriptors(ancillary) if ancillary else ()
        if size == 0 or flags & _CUT:
            _close_all(descriptors)
            raise Closed("end of file") if size == 0 else Cut("a packet was cut: no descriptor is left (ulimit -n)")
        return Packet(PacketKind(self._buffer[0]), memoryview(self._buffer)[1:size], descriptors)

    def close(self) -> None:
        """Closes the socket and forgets what was not sent."""
        while self._outgoing:
            _close_all(self._outgoing.popleft().descriptors)
        self._socket.close()

    def _send(self, packet: _Outgoing) -> bool:
        data = bytes((packet.kind,)) + b"".join(packet.payload)
        try:
            if packet.descriptors:
                socket.send_fds(self._socket, [data], packet.descriptors, _NO_SIGNAL)
            else:
                self._socket.send(data, _NO_SIGNAL)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Closed(str(error)) from error
        return True


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, neither inherited by children."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % _ITEM])
    return tuple(descriptors)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
