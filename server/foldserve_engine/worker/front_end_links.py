"""The front ends that an engine answers, and the supervisor that started it."""

import contextlib
import logging
import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence

from foldserve_contract.signature import Signature

from ..link.channel import Channel, Closed, Packet
from ..link.packets import Arena, Credits, Origin, Outcome, PacketKind, Result, ResultCodec, Submit, SubmitCodec
from .request_memory import RequestInvalid, RequestMemory, WrittenOutputs

_log = logging.getLogger(__name__)
Work = tuple[Submit, int | None]


class FrontEndLink:
    """Link to one front end.

    Attributes:
        front: The front end's number.
        request_memory: Where its requests lie.
        ended: Whether it has ended, or has sent something invalid.
        credits: What it may have in flight, as it knows.
    """

    def __init__(self, origin: Origin, channel: Channel, signature: Signature, credits: Credits) -> None:
        """Owns the channel from then on."""
        self.credits = credits
        self.front = origin.front
        self.channel = channel
        self.request_memory = RequestMemory(signature)
        self.ended = False
        self._submits = SubmitCodec(self.request_memory.inputs.dims_count, origin)
        self._results = ResultCodec(self.request_memory.outputs.dims_count, origin)

    def receive(self) -> Iterator[Work]:
        """The submissions and cancellations that have come, and the memory that came with them."""
        try:
            while (packet := self.channel.receive()) is not None:
                if packet.kind is PacketKind.WORK:
                    yield from self._work(packet)
                elif packet.kind is PacketKind.ATTACH:
                    self.request_memory.attach(Arena.unpack(bytes(packet.payload)), packet.descriptors[0])
                else:
                    raise ValueError(f"a packet of kind {packet.kind.name} is out of place")
        except Closed:
            self.ended = True
        except (RequestInvalid, ValueError, struct.error) as error:
            _log.error("front end %d is given up: %s", self.front, error)
            self.ended = True

    def answer(self, slot: int, generation: int, outcome: Outcome, placed: WrittenOutputs | None = None) -> None:
        """Sends the result of a request."""
        own = placed.memory if placed else None
        result = Result(slot, generation, outcome, own is not None, placed.dims if placed else ())
        self.channel.put(PacketKind.RESULTS, self._results.pack(result), [own.descriptor] if own else [])

    def grant(self, credits: Credits) -> None:
        """Grants the credits that it may have in flight from now on."""
        self.credits = credits
        self.channel.put(PacketKind.CREDITS, credits.pack())
        self.flush()

    def flush(self) -> None:
        """Sends as much as it has room for."""
        with contextlib.suppress(Closed):  # what is left to be received ends with its end
            self.channel.flush()

    def _work(self, packet: Packet) -> Iterator[Work]:
        descriptors = iter(packet.descriptors)
        for submit in self._submits.unpack(packet.payload):
            descriptor = next(descriptors, None) if submit.own_memory else None
            if not submit.stale:
                yield submit, descriptor
            elif descriptor is not None:
                os.close(descriptor)
        for descriptor in descriptors:
            os.close(descriptor)


class FrontEndLinks:
    """Every link, and the credits that the engine shares out among them.

    A front end's part is its share of all that there are to be; what one that is gone had goes to the others until
    another has come in its place.
    """

    def __init__(self, control: Channel, signature: Signature, credits: Credits, front_ends: int) -> None:
        """The supervisor's channel brings the links."""
        self._control = control
        self._signature = signature
        self._credits = credits
        self._front_ends = front_ends
        self._joined = 0
        self._links: dict[int, FrontEndLink] = {}

    def __getitem__(self, front: int) -> FrontEndLink:
        """The link of that front end."""
        return self._links[front]

    def wait(self, wait_ns: int | None) -> Sequence[FrontEndLink]:
        """The links with something to read: waits for one, for a packet that can be sent, or until the time is over.

        Raises:
            Closed: The supervisor has closed its channel.
        """
        readers: list[Channel | FrontEndLink] = [self._control, *self._links.values()]
        writers = [link.channel for link in self._links.values() if link.channel.unsent]
        timeout = None if wait_ns is None else wait_ns / 1e9
        ready = select.select([_channel(reader) for reader in readers], writers, [], timeout)[0]
        if self._control in ready:
            self._hear()
        return [link for link in self._links.values() if link.channel in ready]

    def flush(self) -> None:
        """Sends what there is to say, as far as there is room for it."""
        for link in self._links.values():
            if link.channel.unsent:
                link.flush()

    def ended(self) -> list[FrontEndLink]:
        """Takes out those that are gone; the others get their credits."""
        ended = [link for link in self._links.values() if link.ended]
        for link in ended:
            del self._links[link.front]
            link.channel.close()
        if ended:
            self._share()
        return ended

    def close(self) -> None:
        """Closes every link."""
        for link in self._links.values():
            link.channel.close()
        self._control.close()

    def _hear(self) -> None:
        while (packet := self._control.receive()) is not None:
            if packet.kind is PacketKind.LINK and len(packet.descriptors) == 1:
                self._add(Origin.unpack(bytes(packet.payload)), socket.socket(fileno=packet.descriptors[0]))
            elif packet.kind is not PacketKind.PING:
                raise Closed(f"a packet of kind {packet.kind.name} is out of place")

    def _add(self, origin: Origin, sock: socket.socket) -> None:
        share = self._credits.share(self._front_ends)
        self._links[origin.front] = FrontEndLink(origin, Channel(sock), self._signature, share)
        self._joined += 1
        self._share()

    def _share(self) -> None:
        """Grants new shares of the credits to the links whose share has changed."""
        vacant = min(self._joined, self._front_ends) - len(self._links)
        share = self._credits.share(max(1, self._front_ends - max(0, vacant)))
        for link in self._links.values():
            if link.credits != share:
                link.grant(share)


def _channel(reader: Channel | FrontEndLink) -> Channel:
    return reader.channel if isinstance(reader, FrontEndLink) else reader
